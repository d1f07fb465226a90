"""The README.md of a packed checkpoint, in the form that model hubs show."""

from typing import List, Optional

from espnet_blankskip.zoo.inspection import Inspection

_FRONT_MATTER = """---
library_name: espnet
pipeline_tag: automatic-speech-recognition
tags:
- espnet
- audio
- automatic-speech-recognition
- blankskip
---
"""

_WITHOUT_PLUGIN = """Without the plugin ESPnet does not know this encoder and stops with
`--encoder must be one of (...)`; with an older plugin,
`espnet_blankskip.zoo.model_loading.load_checkpoint` says which version to install.
"""

_LOADING = """## Use

```python
import espnet_blankskip  # makes the encoder known to ESPnet
from espnet2.bin.{module} import {recognizer}

speech2text = {recognizer}.from_pretrained("{name}"{options})
```

Search over the kept frames only, which is where the time is saved:

```python
from espnet_blankskip.inference import BlankSkipSpeech2Text

speech2text = BlankSkipSpeech2Text.from_pretrained("{name}"{prompt})
speech2text("speech.wav").text
```
"""


def model_card(
    found: Inspection, name: str, requirements: List[str], table: Optional[str]
) -> str:
    """Write a model card.

    Args:
        found: what ``inspect`` says of the checkpoint.
        name: the zip's name.
        requirements: lines of requirements.txt.
        table: measured results as Markdown, or None.
    """
    installs = " ".join(f"'{line}'" for line in requirements)
    loading = dict(
        module="asr_inference",
        recognizer="Speech2Text",
        options="" if found.decoder else ", ctc_weight=1.0",
        prompt="",
    )
    if found.window_seconds is not None:
        prompt = ', lang_sym="<eng>", task_sym="<asr>"'
        loading = dict(
            module="s2t_inference_ctc",
            recognizer="Speech2TextGreedySearch",
            options=prompt,
            prompt=prompt,
        )
    facts = [
        ("encoder", f"{found.encoder}, {found.layers} layers x {found.width}"),
        ("gate layers", ", ".join(map(str, found.gate_layers)) or "none"),
        ("intermediate CTC", ", ".join(map(str, found.interctc_layers)) or "none"),
        ("self-conditioning", "yes" if found.self_conditioning else "no"),
        ("CTC head", found.ctc_head or "none"),
        ("decoder", found.decoder or "none"),
        ("vocabulary", f"{found.vocabulary} tokens ({found.token_type})"),
        ("parameters", f"{found.parameters['total']:,}"),
    ]
    rows = "\n".join(f"| {key} | {value} |" for key, value in facts)
    needs = any(line.startswith("espnet_blankskip") for line in requirements)
    sections = [
        _FRONT_MATTER,
        f"# {name.removesuffix('.zip')}\n",
        "A speech recognizer whose blank frames leave the encoder early, made with "
        "ESPnet and espnet_blankskip.\n",
        f"## Requirements\n\n```sh\npip install {installs}\n```\n",
        _WITHOUT_PLUGIN if needs else "",
        _LOADING.format(name=name, **loading),
        f"## Model\n\n| | |\n|---|---|\n{rows}\n",
        _results(table),
    ]
    return "\n".join(section for section in sections if section)


def _results(table: Optional[str]) -> str:
    """The measured table, under this card's headings and without its pictures."""
    if table is None:
        return "## Results\n\nNo results were packed with this checkpoint.\n"
    lines, in_code = ["## Results", ""], False
    for line in table.strip().splitlines():
        if line.startswith("```"):
            in_code = not in_code
        if line.startswith("#") and not in_code:
            line = f"#{line}"
        if not line.startswith("!["):  # the zip does not carry them
            lines.append(line)
    return "\n".join(lines) + "\n"
