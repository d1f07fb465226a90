"""Build OWSM-CTC: the model of ESPnet's S2T task that has a CTC and no decoder.

As for the ASR task, common parts are put together here, because the task takes ten
seconds to import. The encoder is always the plugin's, which without gates is ESPnet's.
"""

from argparse import Namespace
from typing import Any, Dict, List, Optional

import torch

from espnet_blankskip.encoders import S2T_ENCODERS
from espnet_blankskip.upstream import CTC, model_part, s2t_ctc_task

S2T_CTC_MODEL = "espnet_ctc"
_PREFIX = "blankskip_"
_FEATURES = ("frontend", "specaug", "normalize")


def is_s2t_ctc(config: Dict[str, Any]) -> bool:
    """Whether a training config is one of OWSM-CTC's kind."""
    return config.get("model") == S2T_CTC_MODEL


def s2t_ctc_encoder(name: str) -> str:
    """The plugin's name for an encoder of OWSM-CTC.

    Raises:
        ValueError: another encoder, to which ESPnet's model cannot hand its prompt.
    """
    twin = name if name.startswith(_PREFIX) else _PREFIX + name
    if twin not in S2T_ENCODERS:
        known = ", ".join(n[len(_PREFIX) :] for n in S2T_ENCODERS)
        raise ValueError(f"encoder={name}: model=espnet_ctc prompts only {known}")
    return twin


def build_s2t_ctc_model(train_args: Namespace, tokens: List[str]) -> torch.nn.Module:
    """Build what ``S2TTask.build_model`` builds, up to its random weights.

    Flash attention, which OWSM's configs ask for, is a matter of training: it is
    switched off, as ESPnet's own inference does, and the plugin's kernels stand in.

    Args:
        train_args: Values of the training config.
        tokens: Its vocabulary.

    Raises:
        AttributeError: The config lacks an option.
        ValueError: Its encoder takes no prompt.
        Exception: Whatever ESPnet's constructors raise at options they do not take.
    """
    encoder = s2t_ctc_encoder(train_args.encoder)
    names = {option: getattr(train_args, option) for option in _FEATURES}
    names.update(promptencoder=train_args.promptencoder, model=train_args.model)
    classes = {
        option: None if name is None else model_part(option, name)
        for option, name in names.items()
    }
    unusual = any(classes[o] is None for o, name in names.items() if name is not None)
    if unusual or train_args.input_size is not None:
        import espnet_blankskip

        espnet_blankskip.register()
        model = s2t_ctc_task().build_model(
            Namespace(**{**vars(train_args), "encoder": encoder, "token_list": tokens})
        )
    else:
        model = _assemble(train_args, tokens, S2T_ENCODERS[encoder], classes)
    for module in model.modules():
        if getattr(module, "use_flash_attn", False):
            module.use_flash_attn = False
    return model


def _assemble(
    train_args: Namespace,
    tokens: List[str],
    encoder_class: type,
    classes: Dict[str, Optional[type]],
) -> torch.nn.Module:
    def part(option: str, **sizes: Any):
        if classes[option] is None:
            return None
        return classes[option](**sizes, **getattr(train_args, f"{option}_conf"))

    frontend = part("frontend")
    encoder = encoder_class(
        input_size=frontend.output_size(), **train_args.encoder_conf
    )
    states = encoder.output_size()
    width = train_args.promptencoder_conf["output_size"]
    return part(
        "model",
        vocab_size=len(tokens),
        token_list=tokens,
        frontend=frontend,
        specaug=part("specaug"),
        normalize=part("normalize"),
        encoder=encoder,
        prompt_encoder=part("promptencoder", input_size=width, input_layer=None),
        ctc=CTC(odim=len(tokens), encoder_output_size=states, **train_args.ctc_conf),
    )
