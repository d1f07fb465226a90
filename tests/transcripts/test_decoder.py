"""What a user hears while a list of recordings is decoded."""

import logging

import pytest

from espnet_blankskip.transcripts.decoder import say_warnings_to


@pytest.fixture
def said():
    handlers, level = list(logging.root.handlers), logging.root.level
    lines = []
    say_warnings_to(lines.append)
    yield lines
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def warn(name, where):
    """Warn on a logger from a module at a path."""
    line = f"import logging; logging.getLogger({name!r}).warning('from %s', __file__)"
    exec(compile(line, where, "exec"), {"__file__": where})


@pytest.mark.parametrize(
    "where",
    [
        "/usr/lib/python3/site-packages/espnet2/asr/ctc.py",
        "/home/me/espnet_blankskip/.venv/lib/espnet2/asr/ctc.py",
    ],
)
def test_espnets_warnings_are_not_said_wherever_it_is(said, where):
    warn(None, where)
    warn("espnet2.asr.ctc", where)
    assert said == []


@pytest.mark.parametrize(
    "where", ["/src/espnet_blankskip/gate.py", "/src/plugin.zip/gate.py"]
)
def test_the_plugins_warnings_are_said_wherever_it_is(said, where):
    warn("espnet_blankskip.gate", where)
    assert said == [f"from {where}"]
