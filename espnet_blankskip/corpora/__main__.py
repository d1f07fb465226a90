"""``python -m espnet_blankskip.corpora CORPUS --output data``."""

import signal
import sys

from espnet_blankskip.corpora.cli import main

if __name__ == "__main__":
    # A terminated preparation cleans up like an interrupted one.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
