"""What ESPnet3's runner needs to know of a recognition."""

from espnet_blankskip.decoding.recognition import Recognition


def accept_recognitions(runner: type) -> None:
    """Teach ESPnet3's ASR runner to write what `BlankSkipSpeech2Text` returns.

    ESPnet3 lets a runner adapt its model's results in ``format_output``. So
    ``_target_: espnet_blankskip.inference.BlankSkipSpeech2Text`` is all that an
    inference.yaml has to change.

    Args:
        runner: ESPnet3's class ``ASRInferenceRunner``; changed once.
    """
    stock = runner.format_output
    if hasattr(stock, "stock"):
        return

    def format_output(result, *, batched):
        results = result if batched else [result]
        if not all(isinstance(one, Recognition) for one in results):
            return stock(result, batched=batched)
        texts = [{"text": one.text} for one in results]
        return texts if batched else texts[0]

    format_output.stock = stock
    runner.format_output = staticmethod(format_output)
