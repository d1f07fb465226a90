"""Decoding time over audio time, from the log lines ESPnet's own script reads."""

import re
from datetime import datetime
from pathlib import Path
from typing import Dict, Optional

from espnet_blankskip.kaldi.json_file import write_json
from espnet_blankskip.kaldi.whole_file import write_whole

STAMP = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) "
BEGIN = re.compile(STAMP + r".*INFO: speech length: (\d+)")
END = re.compile(STAMP + r".*INFO: best hypo: ")


def write_real_time_factor(logdir: Path, fs: int) -> Optional[Dict[str, float]]:
    """Write calculate_rtf.log and rtf.json beside the decoding logs.

    An utterance counts from its ``speech length`` to the ``best hypo`` after it; one
    that was begun and not finished (too short, say) is left out.

    Args:
        logdir: Folder with ``asr_inference.N.log``.
        fs: Sampling rate in Hz.

    Returns:
        Seconds of audio and of decoding, their ratio ``rtf``, and the number of
        utterances; None where no utterance was finished.
    """
    audio = decoding = 0.0
    utterances = 0
    for path in sorted(logdir.glob("asr_inference.*.log")):
        begun = None
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                match = BEGIN.match(line)
                if match:
                    begun = (parse(match[1]), int(match[2]) / fs)
                match = END.match(line)
                if match and begun is not None:
                    decoding += parse(match[1]) - begun[0]
                    audio += begun[1]
                    utterances += 1
                    begun = None
    if audio == 0.0:
        return None
    speed = {
        "utterances": utterances,
        "audio_seconds": round(audio, 3),
        "decoding_seconds": round(decoding, 3),
        "rtf": round(decoding / audio, 6),
    }
    write_json(logdir / "rtf.json", speed)
    latency = 1000 * decoding / utterances
    write_whole(
        logdir / "calculate_rtf.log",
        f"Total audio duration: {audio:.3f} [sec]\n"
        f"Total decoding time: {decoding:.3f} [sec]\n"
        f"RTF: {speed['rtf']:.3f}\n"
        f"Latency: {latency:.3f} [ms/sentence]\n",
    )
    return speed


def parse(stamp: str) -> float:
    """Seconds since the epoch of a log line's time."""
    return datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S,%f").timestamp()
