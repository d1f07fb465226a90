"""The frontier holds what nothing beats; a point is advised only where it may be."""

import pytest

from espnet_blankskip.calibration.frontier import (
    DENSE_ONLY,
    SKIP,
    UNJUDGED,
    Layer,
    Point,
    clearly_better,
    judge,
    pareto,
)
from espnet_blankskip.calibration.grid import (
    MAX_POINTS,
    GateSetting,
    make_grid,
    parse_gates,
    parse_numbers,
)


def point(wer, speed_up, threshold=0.9):
    return Point(GateSetting((4,), threshold, 0), wer, 30.0, 0.01, speed_up)


def layer(wer, errors=(), number=8, speed_up=1.0):
    return Layer(number, wer, list(errors), 0.02, speed_up)


def measures(points):
    return [(p.wer, p.speed_up) for p in points]


@pytest.mark.parametrize(
    "points, expected",
    [
        pytest.param([], [], id="none"),
        pytest.param(
            [(5.0, 1.2), (6.0, 1.5), (5.5, 1.1)],
            [(5.0, 1.2), (6.0, 1.5)],
            id="beaten-in-both",
        ),
        pytest.param([(5.0, 1.2), (5.0, 1.4)], [(5.0, 1.4)], id="same-wer"),
        pytest.param([(6.0, 1.4), (5.0, 1.4)], [(5.0, 1.4)], id="same-speed"),
        pytest.param([(5.2, 1.3), (5.2, 1.3)], [(5.2, 1.3)], id="twins-count-once"),
        pytest.param([(5.1, 0.9)], [], id="dense-is-faster-and-better"),
        pytest.param([(4.5, 0.9)], [(4.5, 0.9)], id="slower-but-better-than-dense"),
    ],
)
def test_frontier_holds_what_nothing_beats(points, expected):
    found = pareto([point(*p) for p in points], layer(5.0))
    assert measures(found) == expected
    assert [p.speed_up for p in found] == sorted(p.speed_up for p in found)


@pytest.mark.parametrize(
    "points, loss, kind, chosen",
    [
        pytest.param(
            [(5.1, 1.2), (5.3, 1.4), (5.4, 1.9)], 0.3, SKIP, (5.3, 1.4), id="fastest"
        ),
        pytest.param([(5.3, 1.4)], 0.3, SKIP, (5.3, 1.4), id="the-limit-is-within"),
        pytest.param([(4.8, 1.1)], 0.0, SKIP, (4.8, 1.1), id="better-than-dense"),
        pytest.param(
            [(5.2, 1.401), (5.0, 1.399)], 0.3, SKIP, (5.0, 1.399), id="tie-in-speed"
        ),
        pytest.param([(5.4, 1.9), (9.0, 3.0)], 0.3, DENSE_ONLY, None, id="all-lose"),
        pytest.param([(5.0, 0.97)], 0.3, DENSE_ONLY, None, id="within-but-slower"),
    ],
)
def test_fastest_point_within_the_loss_is_advised(points, loss, kind, chosen):
    verdict = judge(
        layer(5.0), [layer(5.2, number=4)], [point(*p) for p in points], loss
    )
    assert verdict.kind == kind
    found = verdict.point and (verdict.point.wer, verdict.point.speed_up)
    assert found == chosen
    if kind == DENSE_ONLY:
        assert "do not skip with this checkpoint" in verdict.reason


def test_better_gate_layer_forbids_a_verdict():
    dense = layer(20.0, errors=[2] * 10)
    gate = layer(10.0, errors=[1] * 10, number=4)
    verdict = judge(dense, [gate], [point(15.0, 1.3)], 0.3)
    assert verdict.kind == UNJUDGED and verdict.point is None
    assert "layer 4 alone (10.00 % WER) is better" in verdict.reason
    assert "kept frames" not in verdict.reason
    # a model that so far has learned to skip, and not yet to do without
    reason = judge(dense, [gate], [point(8.0, 1.3)], 0.3).reason
    assert "has 8.00 %: the deep layers serve kept frames" in reason
    # without transcripts "errors" only say how far a layer is from the final one
    assert judge(dense, [gate], [point(15.0, 1.3)], 0.3, False).kind == SKIP


def test_underfit_checkpoint_forbids_a_verdict():
    verdict = judge(layer(45.0), [], [point(45.0, 2.0)], 0.3)
    assert verdict.kind == UNJUDGED and "underfit" in verdict.reason
    assert judge(layer(29.0), [], [point(29.0, 2.0)], 0.3).kind == SKIP


@pytest.mark.parametrize(
    "errors, others, expected",
    [
        pytest.param([], [], False, id="nothing"),
        pytest.param([1, 1], [1, 1], False, id="equal"),
        pytest.param([0, 1, 1], [1, 1, 1], False, id="one-error-may-be-chance"),
        pytest.param([0] * 4, [1] * 4, True, id="always-better"),
        pytest.param([0, 2, 0, 2], [1, 1, 1, 1], False, id="now-one-now-the-other"),
        pytest.param([1] * 4, [0] * 4, False, id="worse"),
    ],
)
def test_better_means_beyond_chance(errors, others, expected):
    assert clearly_better(errors, others) is expected


def test_grid_tries_each_gate_alone_unless_told():
    assert {s.gate_layers for s in make_grid([4, 6])} == {(4,), (6,)}
    assert len(make_grid([4])) == 21
    joint = make_grid([4, 6], parse_gates(["6+4,4"]), [0.9], [0])
    assert [s.gates for s in joint] == ["4+6", "4"]


def test_default_grid_shrinks_for_many_gates():
    assert len(make_grid([4])) < len(make_grid([2, 4, 6, 8, 10])) <= MAX_POINTS


@pytest.mark.parametrize(
    "options, message",
    [
        pytest.param(dict(gates=[(5,)]), r"--gate-layers 5: .*: 4, 6", id="gate"),
        pytest.param(dict(gates=[(4, 5)]), r"--gate-layers 4\+5", id="joint-gates"),
        pytest.param(dict(thresholds=[0.4]), "--thresholds: .* 0.5", id="threshold"),
        pytest.param(dict(extensions=[-1]), "--spike-extensions: ", id="extension"),
        pytest.param(
            dict(thresholds=[0.5 + n / 100 for n in range(40)]),
            "make 80 points, more than --max-points 64",
            id="too-many",
        ),
        pytest.param(dict(max_points=0), "--max-points 0", id="max-points"),
    ],
)
def test_wrong_grids_name_the_option(options, message):
    with pytest.raises(ValueError, match=message):
        make_grid([4, 6], **{"extensions": [0], **options})


@pytest.mark.parametrize(
    "words, expected",
    [
        pytest.param(None, None, id="absent"),
        pytest.param(["0.5,0.9"], [0.5, 0.9], id="commas"),
        pytest.param(["0.5", "0.9"], [0.5, 0.9], id="spaces"),
        pytest.param(["0.5,", "0.9"], [0.5, 0.9], id="both"),
    ],
)
def test_lists_take_commas_or_spaces(words, expected):
    assert parse_numbers("--thresholds", words, float) == expected


@pytest.mark.parametrize("words", [["a"], ["0.5,x"], [","]])
def test_lists_name_what_is_no_number(words):
    with pytest.raises(ValueError, match="--thresholds"):
        parse_numbers("--thresholds", words, float)
