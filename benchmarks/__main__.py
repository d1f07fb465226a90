"""``python -m benchmarks CASE [options]``; ``python -m benchmarks`` lists the cases."""

import importlib
import sys

CASES = {
    "encoder": "encoder and greedy search against ESPnet's, dense and skipping",
    "front": "input layers: ESPnet's against the depthwise-separable ones",
    "decode": "waveform to text against ESPnet's asr_inference, on a test set",
    "exported": "exported models in each engine and precision against ESPnet's encoder",
    "true_time": "what true positions and true-time convolution cost behind the gate",
    "joint": "ESPnet's joint CTC/attention search over an accelerated encoder",
    "startup": "the command line, from its start to help and to the first transcript",
    "long_audio": "memory and real-time factor from 10 seconds to 60 minutes",
    "train_step": "training step with skipping on against dense, same model",
    "report": "all of these, as a page with a picture",
}


def main(argv) -> int:
    """Run the named case with the rest of the arguments."""
    if not argv or argv[0] not in CASES:
        print("usage: python -m benchmarks CASE [options]\n\ncases:")
        for name, what in CASES.items():
            print(f"  {name:12} {what}")
        return 0 if argv[:1] in ([], ["-h"], ["--help"]) else 2
    return importlib.import_module(f"benchmarks.{argv[0]}").main(argv[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
