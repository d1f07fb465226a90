"""The frontier holds what nothing beats; a point is advised only where it may be."""

from dataclasses import replace

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
from espnet_blankskip.calibration.grid import MAX_POINTS, make_grid, name_of
from espnet_blankskip.gate_options import GateOptions

TRAINED = GateOptions([4, 6], 0.95, 1, "stale", "kept")


def point(wer, speed_up, threshold=0.9):
    return Point(replace(TRAINED, blank_threshold=threshold), wer, 30.0, 0.01, speed_up)


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


def grid(possible, max_points=MAX_POINTS, **tried):
    return make_grid(possible, TRAINED, tried, max_points)


def values(points, name):
    return {getattr(point, name) for point in points}


def test_grid_tries_each_gate_alone_unless_told():
    assert values(grid([4, 6]), "gate_layers") == {(4,), (6,)}
    chosen = grid([4, 6], gate_layers=["4,6", "4"], attn_context=["all"])
    assert values(chosen, "gate_layers") == {(4, 6), (4,)}
    one = grid([4], blank_threshold=["0.9"], spike_extension=[0], attn_context=["all"])
    assert one == [GateOptions([4], 0.9, 0, "stale", "all", "skipping")]


@pytest.mark.parametrize("gates", range(1, 17))
def test_grid_of_any_number_of_gates_tries_what_untrained_ones_need(gates):
    """Without training, attention over all frames and extension 2 cost least."""
    points = grid(list(range(1, gates + 1)))
    assert len(points) <= MAX_POINTS
    for layer in range(1, gates + 1):
        own = [point for point in points if point.gate_layers == (layer,)]
        assert values(own, "attn_context") == {"kept", "all"}
        assert {0, 2} <= values(own, "spike_extension")
        assert values(own, "conv_context") == {"stale"}


def test_names_tell_points_apart():
    points = grid([4, 6], 999, conv_context=["stale", "zero"])
    assert len({name_of(point) for point in points}) == len(points) > 64


@pytest.mark.parametrize(
    "options, message",
    [
        pytest.param(
            dict(gate_layers=[5]), r"gate_layers=\[5\]: .*: 4, 6", id="no-gate"
        ),
        pytest.param(
            dict(gate_layers=["4,5"]), r"gate_layers=\[4,5\]: .*: 4, 6", id="joint"
        ),
        pytest.param(
            dict(blank_threshold=[0.4]), "blank_threshold=0.4 must .* 0.5", id="low"
        ),
        pytest.param(dict(blank_threshold=["x"]), "blank_threshold=x", id="word"),
        pytest.param(dict(spike_extension=[-1]), "spike_extension=-1", id="extension"),
        pytest.param(dict(attn_context=["no"]), "attn_context=no must", id="context"),
        pytest.param(
            dict(blank_threshold=[0.5 + n / 100 for n in range(40)]),
            "gate_layers and .* make 160 points, more than max_points=64",
            id="too-many",
        ),
        pytest.param(dict(max_points=0), "max_points=0", id="max-points"),
    ],
)
def test_wrong_grids_name_the_option(options, message):
    with pytest.raises(ValueError, match=message):
        grid([4, 6], **{"spike_extension": [0], **options})
