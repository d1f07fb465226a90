"""The name by which RESULTS.md files of before call the report."""

import runpy

if __name__ == "__main__":
    runpy.run_module("espnet_blankskip.evaluation.report", run_name="__main__")
