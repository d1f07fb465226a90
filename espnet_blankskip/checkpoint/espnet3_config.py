"""What ESPnet3 writes into ``config.yaml`` elsewhere than ESPnet2."""

from typing import Any, Dict

# option of ESPnet's preprocessor -> option of the training config
_TOKENIZER = {
    "token_type": "token_type",
    "bpemodel": "bpemodel",
    "non_linguistic_symbols": "non_linguistic_symbols",
    "text_cleaner": "cleaner",
    "g2p_type": "g2p",
}


def with_tokenizer(config: Dict[str, Any]) -> Dict[str, Any]:
    """Put the tokenizer's options where ESPnet2's configs have them.

    ESPnet3 does so itself, unless training and validation have preprocessors of
    their own.

    Args:
        config: Values of a training config, of either ESPnet; not changed.
    """
    dataset = config.get("dataset")
    shared = dataset.get("preprocessor") if isinstance(dataset, dict) else None
    if not isinstance(shared, dict):
        return config
    own = shared.get("valid") or shared.get("train")
    options = {**shared, **own} if isinstance(own, dict) else shared
    found = {to: options[name] for name, to in _TOKENIZER.items() if name in options}
    return {**config, **found}
