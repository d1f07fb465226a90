"""Checkpoints: look inside, load by name, convert, pack.

``archive`` opens a zoo tag, zip, folder or experiment; ``weights`` reads tensors and
nothing else; ``inspection`` says what can be skipped; ``conversion`` rewrites a stock
checkpoint; ``packing_up`` publishes one. Nothing here runs code from an archive.
"""

from espnet_blankskip.zoo.errors import CheckpointError

__all__ = ["CheckpointError"]
