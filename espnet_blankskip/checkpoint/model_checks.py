"""What a model must have, and a machine must offer, before speech is recognized."""

from argparse import Namespace

import torch

from espnet_blankskip.decoding.kept_frames import check_post_encoder

DTYPES = ("float32", "float64", "bfloat16")


def check_device(device: str, dtype: str) -> None:
    """Check where and in which arithmetic a model is to run.

    Raises:
        ValueError: naming the option and what it may be.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype} must be one of {', '.join(DTYPES)}")
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = None
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device={device} must be cpu, cuda or cuda:N")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={device}: torch sees no GPU on this machine")


def check_can_recognize(model: torch.nn.Module) -> None:
    """Check that a model has a CTC to recognize with, and weights that are numbers.

    Raises:
        ValueError: It is a transducer or an attention model and nothing else; it has
            a post-encoder that cannot be heard; or a weight is NaN or infinite.
    """
    if getattr(model, "ctc", None) is None:
        kind = "a transducer" if getattr(model, "joint_network", None) else "a model"
        raise ValueError(
            f"{kind} trained with ctc_weight=0 has no CTC, which is all that is "
            "decoded here: use ESPnet's own asr_inference"
        )
    check_post_encoder(model)
    for name, weight in model.state_dict().items():
        # a sum takes no second copy of the weight, and a twentieth of the time
        if weight.is_floating_point() and not weight.sum().isfinite():
            broken = int((~weight.isfinite()).sum())
            if broken:
                raise ValueError(
                    f"weight {name}: {broken} of {weight.numel()} values are NaN or "
                    "infinite: the file is damaged or its training diverged"
                )


def model_sample_rate(train_args: Namespace) -> int:
    """Return the sampling rate in Hz that a model's front-end was built for."""
    import humanfriendly  # ESPnet's front-ends read "8k" with it too

    rate = (getattr(train_args, "frontend_conf", None) or {}).get("fs", 16000)
    return int(humanfriendly.parse_size(str(rate)))
