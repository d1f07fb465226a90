"""Run any ESPnet command with the plugin in place.

``python -m espnet_blankskip -m espnet2.bin.asr_train --config ...`` takes the place
of ``python -m espnet2.bin.asr_train --config ...``; scripts and ``-c`` work as they
do for ``python`` itself, so the wrapper can be given to ``asr.sh --python``. The
package is imported in spawned children too, which makes them know the plugin.
"""

import importlib
import importlib.util
import os
import runpy
import sys
from typing import List, Optional

from espnet_blankskip import commands

USAGE = """usage: python -m espnet_blankskip (-m MODULE | SCRIPT | -c CODE) [ARG ...]

Runs an ESPnet command with the blankskip encoders and model registered, e.g.
  python -m espnet_blankskip -m espnet2.bin.asr_train --config conf/train.yaml ...
"""

# what ESPnet leaves to extras and finds out late: scoring, pictures of attention
_LATER_NEEDS = {"espnet2.bin.asr_train": ("editdistance", "matplotlib")}


def main(argv: Optional[List[str]] = None) -> int:
    """Run the module, script or code named in ``argv`` (default: ``sys.argv[1:]``)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE, end="", file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2

    if argv[0] in ("-m", "-c") and len(argv) < 2:
        print(f"espnet_blankskip: {argv[0]} needs an argument", file=sys.stderr)
        return 2
    if argv[0] == "-m":
        return _run_module(argv[1], argv[2:])
    if argv[0] == "-c":
        sys.argv = ["-c"] + argv[2:]
        exec(compile(argv[1], "<string>", "exec"), {"__name__": "__main__"})
        return 0
    if not os.path.exists(argv[0]):
        print(f"espnet_blankskip: no such script: {argv[0]}", file=sys.stderr)
        return 2
    sys.argv = argv
    # python itself puts the script's folder first, and scripts import from there
    sys.path.insert(0, os.path.dirname(os.path.abspath(argv[0])))
    runpy.run_path(argv[0], run_name="__main__")
    return 0


def _run_module(name: str, args: List[str]) -> int:
    if not _module_exists(name):
        print(f"espnet_blankskip: no module named {name}", file=sys.stderr)
        return 2
    missing = [n for n in _LATER_NEEDS.get(name, ()) if not _module_exists(n)]
    if missing:
        print(
            f"espnet_blankskip: warning: {name} will ask for {' and '.join(missing)} "
            "after the first epoch: pip install 'espnet[asr,train]'",
            file=sys.stderr,
        )
    # A spawned child starts with its parent's main module, but not with one called
    # "x.__main__"; under the package's name it does, and so registers the plugin.
    sys.modules["__main__"].__spec__ = importlib.util.find_spec("espnet_blankskip")
    name = commands.replacement(name, args)
    sys.argv = [name] + args
    module = importlib.import_module(name)
    # Executing a module a second time, as runpy would, gives it fresh class
    # registries, so main() is called on the imported one where there is one.
    if hasattr(module, "main"):
        status = module.main() or 0
        return status or commands.finish(name, args)
    runpy.run_module(name, run_name="__main__", alter_sys=True)
    return 0


def _module_exists(name: str) -> bool:
    if name.startswith("."):
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError as missing:
        if missing.name and f"{name}.".startswith(f"{missing.name}."):
            return False
        raise  # the module is there, and needs another one that is not


if __name__ == "__main__":
    sys.exit(main())
