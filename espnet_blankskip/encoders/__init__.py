"""Encoders with blank-triggered layer skipping, by their names in ESPnet configs."""

from espnet_blankskip.encoders.conformer import BlankSkipConformerEncoder
from espnet_blankskip.encoders.e_branchformer import BlankSkipEBranchformerEncoder
from espnet_blankskip.encoders.e_branchformer_ctc import (
    BlankSkipEBranchformerCTCEncoder,
)
from espnet_blankskip.encoders.encoded_frames import EncodedFrames
from espnet_blankskip.encoders.transformer import BlankSkipTransformerEncoder

ENCODERS = {
    "blankskip_conformer": BlankSkipConformerEncoder,
    "blankskip_e_branchformer": BlankSkipEBranchformerEncoder,
    "blankskip_transformer": BlankSkipTransformerEncoder,
}
S2T_ENCODERS = {"blankskip_e_branchformer_ctc": BlankSkipEBranchformerCTCEncoder}

__all__ = [
    "ENCODERS",
    "S2T_ENCODERS",
    "BlankSkipConformerEncoder",
    "BlankSkipEBranchformerCTCEncoder",
    "BlankSkipEBranchformerEncoder",
    "BlankSkipTransformerEncoder",
    "EncodedFrames",
]
