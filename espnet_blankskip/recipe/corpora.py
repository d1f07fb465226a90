"""The name by which recipes of before call the data preparation."""

import runpy

if __name__ == "__main__":
    runpy.run_module("espnet_blankskip.corpora", run_name="__main__")
