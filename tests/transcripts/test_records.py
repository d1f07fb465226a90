"""What is written about one utterance can be read by everybody."""

import json
from types import SimpleNamespace

import pytest

from espnet_blankskip.kaldi.utterances import Utterance
from espnet_blankskip.transcripts.decoder import Decoder


def recognized(*scores):
    """A recognition whose hypotheses have these scores."""
    nbest = [
        SimpleNamespace(text="a", score=score, words=(), token=["a"], token_int=[2])
        for score in scores
    ]
    about = dict(nbest=nbest, audio_seconds=1.0, kept_ratio=0.5, warnings=())
    return SimpleNamespace(**vars(nbest[0]), **about)


@pytest.mark.parametrize(
    "scores, why",
    [
        ([-1.25], ""),
        ([-1.25, -3.0], ""),
        ([float("nan")], "its score is nan"),
        ([float("-inf")], "its score is -inf"),
        ([-1.25, float("nan")], "its score is nan"),
    ],
)
def test_a_score_that_is_no_number_is_that_utterances_failure(scores, why):
    decoder = Decoder.__new__(Decoder)  # without a model
    decoder.speech2text = lambda path, utt_id: recognized(*scores)
    outcome = decoder(Utterance("utt", "a.wav"))
    assert outcome.reason.startswith(why) and bool(outcome.reason) == bool(why)
    assert "NaN" not in json.dumps(outcome.record)
