"""Where to change from one window of long audio to the next.

Two windows hear the same token some frames apart, since each hears it in a context of
its own. A cut between those frames would lose the token or double it. So the tokens of
both are paired first, and a cut is good where the tokens on both sides of it are pairs:
then whatever the left window said before it and the right one says after it is one
sequence, without a token lost or doubled.
"""

import itertools
from typing import List, NamedTuple, Sequence, Set, Tuple

import numpy as np

from espnet_blankskip.decoding.hypothesis import BLANK

# Frames that one token may be heard apart in two windows: a quarter of a second.
REACH = 6


class _Run(NamedTuple):
    label: int
    begin: int
    end: int  # exclusive


def choose_cut(left: np.ndarray, right: np.ndarray) -> int:
    """Choose where to change from one window to the next within their overlap.

    Among the cuts where the tokens on both sides are the same in both windows, the
    middle of the longest run of frames that both call blank; of equal runs, the one
    nearest to the centre. First in the central half of the overlap, since a window
    lacks context at its edges, and best where the whole overlap agrees too; then
    anywhere. If the windows nowhere agree on the tokens, the longest such run whatever
    stands around it; without any, the frame nearest to the centre with the same label
    in both, else the centre.

    Args:
        left: Best label of each frame (O,) in the left window.
        right: The same in the right window.

    Returns:
        The first frame to take from the right window, 0 to O.
    """
    size = len(left)
    both_blank = ((left == BLANK) & (right == BLANK)).tolist()
    left, right = left.tolist(), right.tolist()
    whole = _GoodCuts(left, right, 0, size)
    # what a window says at its edges is not to mislead about the middle
    middle = _GoodCuts(left, right, size // 4, size - size // 4)
    blank_cuts = [
        _cuts_in_blanks(both_blank, part.low, part.high) for part in (middle, whole)
    ]
    in_middle = blank_cuts[0] + [(0, cut) for cut in range(middle.low + 1, middle.high)]
    anywhere = blank_cuts[1] + [(0, cut) for cut in range(1, size)]
    for cuts, agreeing in (
        (in_middle, (middle, whole)),
        (in_middle, (middle,)),
        (anywhere, (whole,)),
    ):
        good = [cut for cut in cuts if all(agrees(cut[1]) for agrees in agreeing)]
        if good:
            return _best(good, size)
    for cuts in blank_cuts:
        if cuts:
            return _best(cuts, size)
    centre = size // 2
    same = [t for t in range(size) if left[t] == right[t]]
    return min(same, key=lambda t: abs(t - centre), default=centre)


class _GoodCuts:
    """Tells whether the tokens on both sides of a cut are the same in both windows.

    Args:
        left: Labels of the left window.
        right: Labels of the right window.
        low: First frame of the part that is looked at.
        high: Frame after its last one.
    """

    def __init__(self, left: Sequence[int], right: Sequence[int], low: int, high: int):
        self.low, self.high = low, high
        self._left, self._right = left[low:high], right[low:high]
        self._left_runs = _token_runs(self._left)
        self._right_runs = _token_runs(self._right)
        self._pairs = _pair(self._left_runs, self._right_runs)

    def __call__(self, cut: int) -> bool:
        cut -= self.low
        if 0 < cut < len(self._left):
            before, after = self._left[cut - 1], self._right[cut]
            if before == after != BLANK:
                return False  # two tokens would become one
        if _splits(self._left_runs, cut) or _splits(self._right_runs, cut):
            return False
        i = sum(run.begin < cut for run in self._left_runs)
        j = sum(run.begin < cut for run in self._right_runs)
        at_begin = i == j == 0
        at_end = i == len(self._left_runs) and j == len(self._right_runs)
        return (at_begin or (i - 1, j - 1) in self._pairs) and (
            at_end or (i, j) in self._pairs
        )


def _pair(left: Sequence[_Run], right: Sequence[_Run]) -> Set[Tuple[int, int]]:
    """Pair the tokens that are the same, in order: as many, and as near, as can be.

    Returns:
        Positions in both sequences.
    """
    # costs[i][j]: of the first i and j tokens; a token without a pair costs 1
    costs = [
        [float(i + j) for j in range(len(right) + 1)] for i in range(len(left) + 1)
    ]
    for i, j in itertools.product(range(len(left)), range(len(right))):
        alone = 1 + min(costs[i][j + 1], costs[i + 1][j])
        costs[i + 1][j + 1] = min(alone, costs[i][j] + _distance(left[i], right[j]))
    pairs, i, j = set(), len(left), len(right)
    while i and j:
        if costs[i][j] == costs[i - 1][j - 1] + _distance(left[i - 1], right[j - 1]):
            i, j = i - 1, j - 1
            pairs.add((i, j))
        elif costs[i][j] == 1 + costs[i - 1][j]:
            i -= 1
        else:
            j -= 1
    return pairs


def _distance(left: _Run, right: _Run) -> float:
    """Cost of a pair: below 1, or infinite where they are not the same token."""
    apart = abs(left.begin - right.begin)
    if left.label != right.label or apart > REACH:
        return float("inf")
    return apart / (REACH + 1)


def _splits(runs: Sequence[_Run], cut: int) -> bool:
    return any(run.begin < cut < run.end for run in runs)


def _token_runs(labels: Sequence[int]) -> List[_Run]:
    return [run for run in _runs(labels) if run.label != BLANK]


def _cuts_in_blanks(
    both_blank: Sequence[bool], low: int, high: int
) -> List[Tuple[int, int]]:
    """Return length and middle of each run of blanks between two frames."""
    # a cut before frame c has frames up to c - 1 on its left
    return [
        (run.end - run.begin, low + (run.begin + run.end) // 2)
        for run in _runs(both_blank[low:high])
        if run.label
    ]


def _best(cuts: Sequence[Tuple[int, int]], size: int) -> int:
    """Return the cut in the longest run; of equal ones, the nearest to the centre."""
    return max(cuts, key=lambda cut: (cut[0], -abs(cut[1] - size // 2)))[1]


def _runs(labels: Sequence[int]) -> List[_Run]:
    """Return all runs of equal labels."""
    position, runs = 0, []
    for label, run in itertools.groupby(labels):
        length = sum(1 for _ in run)
        runs.append(_Run(label, position, position + length))
        position += length
    return runs
