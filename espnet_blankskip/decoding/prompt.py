"""What OWSM-CTC is asked for: which language it hears, and which task it does.

Its encoder takes both as two frames in front of the audio, and an earlier text by
cross-attention; without one that is the token ``<na>``.
"""

from dataclasses import dataclass
from typing import Optional, Sequence, Tuple

import torch

from espnet_blankskip.encoders.e_branchformer_ctc import Prompt

TRANSCRIBE = "<asr>"
SHOWN = 8


@dataclass(frozen=True)
class PromptTokens:
    """A prompt as token ids.

    Args:
        prefix: Language and task, the frames in front of the audio.
        previous: Earlier text.
    """

    prefix: Tuple[int, ...]
    previous: Tuple[int, ...]


def takes_prompt(model: torch.nn.Module) -> bool:
    """Whether a model is one of OWSM-CTC's kind."""
    return hasattr(model, "prompt_encoder")


def is_special(token: str) -> bool:
    """Whether a token is a symbol of the model's own and no part of what was said."""
    return token[:1] == "<" and token[-1:] == ">"


def prompt_tokens(
    model: torch.nn.Module,
    lang_sym: Optional[str] = None,
    task_sym: Optional[str] = None,
    unknown: str = "<nolang>",
) -> PromptTokens:
    """Look up the symbols of a prompt.

    Args:
        model: OWSM-CTC.
        lang_sym: Language of the speech such as "<eng>", or "eng"; None: `unknown`.
        task_sym: "<asr>", or a translation such as "<st_deu>"; None: "<asr>".
        unknown: The symbol that lets the model find the language out.

    Raises:
        ValueError: The model has no such symbol.
    """
    symbols = {
        "lang_sym": unknown if lang_sym is None else lang_sym,
        "task_sym": TRANSCRIBE if task_sym is None else task_sym,
    }
    prefix = []
    for option, name in symbols.items():
        symbol = f"<{name.strip('<>')}>"  # the brackets mean redirection to a shell
        if symbol not in model.token_list:
            raise ValueError(
                f"{option}={name}: the model has no {symbol}; its symbols are "
                f"{_some_symbols(model.token_list, symbol)}"
            )
        prefix.append(model.token_list.index(symbol))
    return PromptTokens(tuple(prefix), (model.na,))


def embed_prompt(model: torch.nn.Module, prompt: PromptTokens, batch: int) -> Prompt:
    """Embed a prompt as ESPnet's model does, the same one for every utterance.

    Args:
        model: OWSM-CTC.
        prompt: The prompt.
        batch: Utterances B.
    """
    device = next(model.parameters()).device
    prefix = torch.tensor([prompt.prefix], device=device)
    previous = torch.tensor([prompt.previous], device=device)
    memory, _, _ = model.prompt_encoder(
        model.pos_enc(model.embed(previous)),
        torch.tensor([previous.size(1)], device=device),
    )
    memory = model.prompt_proj(memory)
    heard = torch.ones(1, 1, memory.size(1), dtype=torch.bool, device=device)
    return Prompt(
        prefix_embeds=model.embed_proj(model.embed(prefix)).expand(batch, -1, -1),
        memory=memory.expand(batch, -1, -1),
        memory_mask=heard.expand(batch, -1, -1),
    )


def _some_symbols(token_list: Sequence[str], wanted: str) -> str:
    """List symbols, those first that are spelt alike."""
    import difflib

    symbols = [token for token in token_list if is_special(token)]
    alike = difflib.get_close_matches(wanted, symbols, SHOWN, cutoff=0.4)
    rest = [token for token in symbols if token not in alike]
    shown = [*alike, *rest][:SHOWN]
    more = len(symbols) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
