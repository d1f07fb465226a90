"""Encoders with blank-triggered layer skipping, by their names in ESPnet configs."""

from espnet_blankskip.encoders.conformer import BlankSkipConformerEncoder
from espnet_blankskip.encoders.skipping import EncodedFrames

ENCODERS = {"blankskip_conformer": BlankSkipConformerEncoder}

__all__ = ["ENCODERS", "BlankSkipConformerEncoder", "EncodedFrames"]
