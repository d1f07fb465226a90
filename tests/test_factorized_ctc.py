"""Contract 6: the factorized head is a proper CTC head, ESPnet's in all but that."""

import pytest
import torch
import torch.nn.functional as F

from espnet_blankskip.factorized_ctc import FactorizedCTC, compose_log_probs
from espnet_blankskip.upstream import CTC

VOCAB, WIDTH = 7, 5
LABELS = torch.tensor([[3, 3, 1], [2, -1, -1], [6, 5, -1]])
LABEL_LENS = torch.tensor([3, 1, 2])
FRAMES = torch.tensor([9, 4, 6])


@pytest.fixture
def head():
    return FactorizedCTC(VOCAB, WIDTH).double()


@pytest.fixture
def states():
    return 3 * torch.randn(3, 9, WIDTH, dtype=torch.float64)


@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4], ids=lambda s: f"logits_x{s:g}")
def test_probabilities_sum_to_one_and_stay_finite(scale):
    logits = scale * torch.randn(50, VOCAB)
    log_probs = compose_log_probs(logits)
    assert log_probs.isfinite().all()
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(50))


def test_reading_is_blank_or_not_first_then_which_label(head, states):
    z = head.ctc_lo(states)
    want = torch.cat(
        [
            torch.sigmoid(z[..., :1]),
            (1 - torch.sigmoid(z[..., :1])) * torch.softmax(z[..., 1:], -1),
        ],
        dim=-1,
    )
    torch.testing.assert_close(head.softmax(states), want)
    torch.testing.assert_close(head.log_softmax(states), want.log())


def test_parts_agree_with_the_whole(head, states):
    whole = head.log_softmax(states)
    torch.testing.assert_close(head.blank_logp(states), whole[..., 0])
    spike = torch.log1p(-whole[..., :1].exp())
    torch.testing.assert_close(head.label_logp(states) + spike, whole[..., 1:])
    assert head.argmax(states).equal(whole.argmax(-1))


def test_argmax_is_not_that_of_the_raw_outputs(head):
    """A label's raw output may top blank's while its probability does not."""
    with torch.no_grad():
        head.ctc_lo.weight.zero_()
        head.ctc_lo.bias.copy_(torch.tensor([1.0, 2, 2, 2, 2, 2, 2]))
    states = torch.zeros(1, 1, WIDTH, dtype=torch.float64)
    assert head.argmax(states).item() == 0


@pytest.mark.parametrize("reduce", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loss_is_ctc_on_the_composed_log_probabilities(states, reduce, dtype):
    head = FactorizedCTC(VOCAB, WIDTH, reduce=reduce).to(dtype)
    states = states.to(dtype)
    loss = head(states, FRAMES, LABELS, LABEL_LENS)
    want = F.ctc_loss(
        head.log_softmax(states).transpose(0, 1),
        LABELS.clamp(min=0),
        FRAMES,
        LABEL_LENS,
        reduction="none",
    ) / len(LABELS)
    torch.testing.assert_close(loss, want.sum() if reduce else want)


def test_impossible_utterance_costs_nothing_as_in_espnet(head, states):
    frames = torch.tensor([9, 4, 1])  # two labels do not fit in one frame
    loss = head(states.requires_grad_(), frames, LABELS, LABEL_LENS)
    loss.backward()
    assert loss.isfinite() and states.grad.isfinite().all()
    assert not states.grad[2].any()


def test_gradients_of_the_loss_are_exact(head, states):
    """Gradcheck goes through the head, since torch's CTC presumes normalized input."""

    def loss(x, weight, bias):
        z = F.linear(x, weight, bias).transpose(0, 1)
        labels = torch.cat([row[:n] for row, n in zip(LABELS, LABEL_LENS)])
        return head.loss_fn(z, labels, FRAMES, LABEL_LENS)

    inputs = [states, head.ctc_lo.weight, head.ctc_lo.bias]
    assert torch.autograd.gradcheck(loss, [x.detach().requires_grad_() for x in inputs])


def test_half_precision_outputs_give_a_float32_loss(head, states):
    z = head.ctc_lo(states).transpose(0, 1)
    labels = torch.cat([row[:n] for row, n in zip(LABELS, LABEL_LENS)])
    exact = head.loss_fn(z, labels, FRAMES, LABEL_LENS)
    half = head.loss_fn(z.bfloat16(), labels, FRAMES, LABEL_LENS)
    assert half.dtype == torch.float32
    assert (half - exact).abs().item() < 0.05 * exact.item()


def test_forced_alignment_gives_the_labels_back(head, states):
    path, scores = head.forced_align(
        states[:1].float().double(),
        FRAMES[:1],
        LABELS[:1].clamp(min=0),
        LABEL_LENS[:1],
    )
    collapsed = torch.unique_consecutive(path[0])
    assert collapsed[collapsed != 0].tolist() in ([3, 3, 1], [3, 1])
    assert [s for s, before in zip(path[0], [0, *path[0]]) if s and s != before] == [
        3,
        3,
        1,
    ]
    frames = torch.arange(path.size(1))
    torch.testing.assert_close(scores[0], head.log_softmax(states)[0, frames, path[0]])


def test_is_a_ctc_with_the_same_parameters():
    head = FactorizedCTC(VOCAB, WIDTH)
    assert isinstance(head, CTC)
    plain = CTC(VOCAB, WIDTH).state_dict()
    assert {k: v.shape for k, v in head.state_dict().items()} == {
        k: v.shape for k, v in plain.items()
    }


def test_like_takes_over_options_and_parameters():
    plain = CTC(VOCAB, WIDTH, dropout_rate=0.2, reduce=False, zero_infinity=False)
    head = FactorizedCTC.like(plain)
    assert head.ctc_lo is plain.ctc_lo
    assert head.dropout_rate == 0.2
    assert head.reduce is False
    assert head.ctc_loss.zero_infinity is False


def test_other_loss_types_are_refused_by_name():
    with pytest.raises(ValueError, match="factorized_ctc.*ctc_type=builtin.*builtin2"):
        FactorizedCTC(VOCAB, WIDTH, ctc_type="builtin2")


def test_the_loss_refuses_a_trained_plain_head_and_takes_any_other(states):
    plain = CTC(WIDTH, WIDTH).double()
    with torch.no_grad():  # sure of its labels, and all outputs high
        plain.ctc_lo.weight.copy_(20 * torch.eye(WIDTH))
        plain.ctc_lo.bias.fill_(9.0)
    text, text_lens = torch.tensor([[3, 1, 4]]), torch.tensor([3])
    path = torch.tensor([0, 3, 3, 0, 1, 0, 4, 0, 0])
    states = torch.eye(WIDTH, dtype=torch.float64)[path].unsqueeze(0)
    frames = torch.tensor([len(path)])
    assert plain(states, frames, text, text_lens) < 0.1
    misread = FactorizedCTC.like(plain)
    remedy = "trained as a plain one.*convert --factorized.*--init_param"
    with pytest.raises(ValueError, match=remedy):
        misread(states, frames, text, text_lens)

    head = FactorizedCTC(WIDTH, WIDTH).double()
    assert head(states, frames, text, text_lens).isfinite()  # a random one
    head.load_state_dict(plain.state_dict())
    with pytest.raises(ValueError, match=remedy):
        head(states, frames, text, text_lens)
    with torch.no_grad():  # the same beliefs, read in the factorized way
        head.ctc_lo.bias[0] -= 19.0
    head.load_state_dict(head.state_dict())
    assert head(states, frames, text, text_lens) < 0.1
