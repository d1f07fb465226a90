"""CTC blank-triggered layer skipping as an ESPnet plugin.

Importing this package is light, and makes ``encoder: blankskip_conformer`` and
``model: blankskip`` known to ESPnet's ASR task as soon as that task is imported.
"""

from espnet_blankskip.registry import register
from espnet_blankskip.version import __version__

__all__ = ["__version__", "register"]

register()
