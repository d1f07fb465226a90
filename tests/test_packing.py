"""Packing: the chosen frames come together in order and go back where they were."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from espnet_blankskip import packing
from espnet_blankskip.packing import gather_frames, scatter_frames


@pytest.fixture(
    params=[packing.WIDTHS, 3], ids="{} widths".format, autouse=True, scope="module"
)
def widths(request):
    """Every promise holds for exact widths, as of short audio, and for few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "WIDTHS", request.param)
        yield


def pack(chosen):
    """Without gradients, where the width takes few values."""
    with torch.no_grad():
        return packing.pack_frames(chosen)


@st.composite
def choices(draw):
    """chosen (B, T) bool, often with rows that choose nothing or everything."""
    batch, time = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    rows = st.one_of(
        st.just([False] * time),
        st.just([True] * time),
        st.lists(st.booleans(), min_size=time, max_size=time),
    )
    return torch.tensor(draw(st.lists(rows, min_size=batch, max_size=batch)))


def frames_of(chosen, channels=3):
    return torch.randn(*chosen.shape, channels, dtype=torch.float64)


@given(choices())
def test_positions_are_those_chosen_in_order(chosen):
    packed = pack(chosen)
    for row, index, length, valid in zip(
        chosen, packed.index, packed.lens, packed.valid
    ):
        assert index[valid].tolist() == row.nonzero().view(-1).tolist()
        assert int(length) == int(row.sum()) == int(valid.sum())
        assert valid[: int(length)].all(), "real entries come first"
    longest = max(1, int(chosen.sum(1).max()))
    spare = packed.index.size(1) - longest
    assert 0 <= spare < max(1, packed.time // packing.WIDTHS)
    assert packed.padded == (not packed.valid.all())
    assert packed.time == chosen.size(1)


@given(choices())
def test_gather_takes_the_chosen_frames_and_pads_with_zeros(chosen):
    full, packed = frames_of(chosen), pack(chosen)
    gathered = gather_frames(full, packed)
    assert gathered[packed.valid].equal(full[chosen])
    assert not gathered[~packed.valid].any()


@given(choices())
def test_gather_then_scatter_changes_nothing(chosen):
    full, packed = frames_of(chosen), pack(chosen)
    assert scatter_frames(full, gather_frames(full, packed), packed).equal(full)


@given(choices())
def test_scatter_writes_the_chosen_positions_and_no_others(chosen):
    full, packed = frames_of(chosen), pack(chosen)
    before = full.clone()
    # whatever stands in the padding must not go anywhere
    new = torch.randn(*packed.index.shape, 3, dtype=torch.float64)
    result = scatter_frames(full, new, packed)
    assert result[chosen].equal(new[packed.valid])
    assert result[~chosen].equal(full[~chosen])
    assert full.equal(before), "the input is left alone"


@given(choices())
def test_values_outside_the_choice_never_leak(chosen):
    packed = pack(chosen)
    full = frames_of(chosen)
    poisoned = full.masked_fill(~chosen.unsqueeze(-1), float("nan"))
    gathered = gather_frames(poisoned, packed)
    assert gathered.isfinite().all()
    assert gathered.equal(gather_frames(full, packed))


@given(choices())
def test_gradients_go_where_the_values_came_from(chosen):
    packed = pack(chosen)
    full = frames_of(chosen).requires_grad_()
    new = torch.randn(*packed.index.shape, 3, dtype=torch.float64, requires_grad=True)

    weight = torch.randn_like(new)
    (grad,) = torch.autograd.grad((gather_frames(full, packed) * weight).sum(), full)
    assert grad[chosen].equal(weight[packed.valid])
    assert not grad[~chosen].any()

    weight = torch.randn_like(full)
    grad_full, grad_new = torch.autograd.grad(
        (scatter_frames(full, new, packed) * weight).sum(), (full, new)
    )
    assert grad_new[packed.valid].equal(weight[chosen])
    assert not grad_new[~packed.valid].any()
    assert grad_full[~chosen].equal(weight[~chosen])
    assert not grad_full[chosen].any()


def test_the_width_takes_few_values():
    time = 12 * packing.WIDTHS
    chosen = [torch.arange(time)[None] < n for n in range(time + 1)]
    assert len({pack(c).index.size(1) for c in chosen}) == packing.WIDTHS


def test_the_width_is_exact_where_gradients_are_recorded():
    """Dropout draws by size: training must not depend on spare rows."""
    chosen = torch.arange(12 * packing.WIDTHS)[None] < 5
    packed = packing.pack_frames(chosen)
    assert packed.index.size(1) == 5 and not packed.padded


def test_nothing_chosen_still_packs_one_padding_entry():
    packed = pack(torch.zeros(2, 5, dtype=torch.bool))
    assert packed.index.shape == (2, 1)
    assert not packed.valid.any()
    full = torch.randn(2, 5, 3)
    assert scatter_frames(full, torch.ones(2, 1, 3), packed).equal(full)


def test_scatter_keeps_the_dtype_of_the_full_batch():
    """Mixed precision computes packed frames in half precision."""
    chosen = torch.tensor([[True, False, True]])
    full = torch.zeros(1, 3, 2)
    result = scatter_frames(
        full, torch.ones(1, 2, 2, dtype=torch.bfloat16), pack(chosen)
    )
    assert result.dtype == torch.float32
    assert result[0, :, 0].tolist() == [1.0, 0.0, 1.0]
