"""ESPnet's own ``Speech2Text``, as the benchmarks run it."""

NOTHING_SKIPPED = 1.01  # a blank threshold above 1


def espnet_recognizer(
    config: str, model_file: str, threshold: float = NOTHING_SKIPPED, **options
):
    """Build it without a language model.

    Args:
        config, model_file: of the experiment.
        threshold: of the encoder's gate if it has one; by default every frame runs
            through every layer, which is the stock encoder bit for bit.
        options: of ``Speech2Text``.
    """
    from espnet_blankskip.upstream import speech2text_class

    recognizer = speech2text_class()(config, model_file, lm_weight=0.0, **options)
    if getattr(recognizer.asr_model.encoder, "gate_layers", None):
        recognizer.asr_model.encoder.set_gate(blank_threshold=threshold)
    return recognizer


def nbest(result):
    """N-best list of a result; with intermediate CTC it comes in a pair."""
    return result[0] if isinstance(result, tuple) else result
