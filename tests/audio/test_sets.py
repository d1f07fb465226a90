"""One file that cannot be used never ends a whole set (contract 10)."""

import numpy as np
import pytest
from odd_audio import GSM_BLOCK, write_odd_files, write_unusable_files

from espnet_blankskip.calibration.speech_set import read_speech_set
from espnet_blankskip.zoo.sound import read_sound

RATE = 8000


@pytest.fixture
def listed(tmp_path):
    """A list of odd and of unusable files, by paths beside the list."""
    samples = np.random.default_rng(0).normal(0, 0.1, RATE)
    odd = write_odd_files(tmp_path, samples, RATE)
    bad = write_unusable_files(tmp_path, samples, RATE)
    ids = {f"bad{i}": path.name for i, path in enumerate(bad.values())}
    ids |= {f"odd{i}": path.name for i, path in enumerate(odd.values())}
    (tmp_path / "wav.scp").write_text("".join(f"{u} {p}\n" for u, p in ids.items()))
    (tmp_path / "text").write_text("".join(f"{u} one two\n" for u in ids))
    bad = {utt_id for utt_id in ids if utt_id.startswith("bad")}
    return tmp_path, bad, set(ids) - bad


def whole(samples):
    return RATE <= len(samples) <= RATE + GSM_BLOCK


def test_calibrate_measures_on_the_rest(listed):
    folder, bad, odd = listed
    scp, text = str(folder / "wav.scp"), str(folder / "text")
    speech = read_speech_set(scp, text, RATE, 100)
    assert {u.utt_id for u in speech.utterances} == odd
    assert all(whole(u.samples) for u in speech.utterances)
    assert set(speech.failed) == bad and all(speech.failed.values())


def test_convert_fits_on_the_rest(listed):
    folder, bad, odd = listed
    sound = read_sound(str(folder / "wav.scp"), RATE)
    assert len(sound.fit) == len(odd) and all(map(whole, sound.fit))
    assert len(sound.failed) == len(bad)
