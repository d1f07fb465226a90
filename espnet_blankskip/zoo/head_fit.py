"""Fit one linear read-out of blank to what a trained model already believes.

Reading a plain CTC head in the factorized way needs ``z_0(h)`` with

    sigmoid(z_0) = p(blank | h),   so   z_0 = W_0 h + b_0 - logsumexp_k(W_k h + b_k)

which is not linear in h: there is no exact row. The best one, in the Kullback-Leibler
sense, is a logistic regression with the model's own probabilities as targets. Label
rows stay as they are, since a softmax over labels does not see the blank row.
"""

from typing import Tuple

import torch
import torch.nn.functional as F

RIDGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
_CLIP = 12.0  # log-odds beyond this are certain
_STEPS = 200
_TUNED_ON = 5  # every fifth stretch of frames chooses the ridge
_STRETCH = 50  # frames; neighbours are too alike to be told apart from the fit


def blank_log_odds(log_probs: torch.Tensor) -> torch.Tensor:
    """Log-odds of blank: log-probabilities (..., V), blank first -> (...)."""
    blank = log_probs[..., 0].double()
    labels = torch.logsumexp(log_probs[..., 1:].double(), dim=-1)
    return (blank - labels).clamp(-_CLIP, _CLIP)


def fit_blank_row(
    states: torch.Tensor, log_odds: torch.Tensor
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Logistic regression of blank on states, with soft targets.

    Minimizes the mean KL(target || fit) plus a ridge, chosen on frames set aside:
    without one the fit extrapolates wildly from sound it has heard little of.

    Args:
        states: (N, D), one row per frame, in order of time.
        log_odds: the target's log-odds of blank (N,).

    Returns:
        weight (D,) and bias (), float64.

    Raises:
        ValueError: there is no frame, or a state is not finite.
    """
    states, log_odds = states.double(), log_odds.double()
    if states.size(0) == 0 or not bool(torch.isfinite(states).all()):
        raise ValueError("no usable frame to fit blank on")
    mean = states.mean(0)
    scale = states.std(0, unbiased=False).clamp(min=1e-6)
    inputs = (states - mean) / scale
    inputs = torch.cat([inputs, inputs.new_ones(len(inputs), 1)], 1)
    targets = torch.sigmoid(log_odds)
    stretch = torch.arange(len(inputs)) // _STRETCH
    aside = stretch % _TUNED_ON == _TUNED_ON - 1
    ridge = RIDGES[0]
    if bool(aside.any()):
        ridge = min(
            RIDGES,
            key=lambda r: float(
                F.binary_cross_entropy_with_logits(
                    inputs[aside] @ _regress(inputs[~aside], targets[~aside], r),
                    targets[aside],
                )
            ),
        )
    row = _regress(inputs, targets, ridge)
    weight = row[:-1] / scale
    return weight, row[-1] - weight @ mean


def _regress(inputs: torch.Tensor, targets: torch.Tensor, ridge: float) -> torch.Tensor:
    """Logistic regression with soft targets (N,) on inputs (N, D+1): the row (D+1,)."""
    row = inputs.new_zeros(inputs.size(1), requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [row], max_iter=_STEPS, history_size=20, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(inputs @ row, targets)
        loss = loss + ridge * row[:-1].square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return row.detach()
