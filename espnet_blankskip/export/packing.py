"""Packing in a graph: move the chosen frames of a batch together, and back.

The same as `espnet_blankskip.packing`, without a loop or a branch: everything is
index arithmetic, so any number of frames may be chosen, none among them.
"""

from espnet_blankskip.export.graph import Graph, Value


class Axis:
    """The time axis of a batch.

    Args:
        g: The graph.
        batch: Utterances B, (1,).
        time: Frames T, (1,).

    Attributes:
        numbers: Frame numbers (1, T).
        rows: Row of every frame among B*T (B, T).
    """

    def __init__(self, g: Graph, batch: Value, time: Value):
        self.g = g
        self.batch = batch
        self.time = time
        self.numbers = g.range(time).unsqueeze(0)
        self.rows = self.numbers + self.row_of_utterance(time)

    def row_of_utterance(self, width: Value) -> Value:
        """Row that each utterance begins with, if each has so many: (B, 1)."""
        return (self.g.range(self.batch) * width).unsqueeze(1)


class PackedFrames:
    """Where the chosen frames of a batch came from.

    Args:
        axis: The time axis of the batch.
        chosen: (B, T) bool.

    Attributes:
        chosen: As given.
        width: N, the largest number of chosen frames, at least 1: (1,).
        valid: True on real entries of ``index`` (B, N) bool.
        index: Original frames (B, N), ascending; padding carries frame 0.
        rows: The same as rows among B*T, (B*N,).
        place: Row among B*N of each chosen frame (B, T); meaningless elsewhere.
    """

    def __init__(self, axis: Axis, chosen: Value):
        g = axis.g
        self.axis, self.chosen = axis, chosen
        counted = chosen.as_int()
        counts = counted.total(1)
        longest = g.op("ReduceMax", counts, axes=[0], keepdims=1)
        self.width = g.op("Max", longest, [1])
        # the largest of "frames from here to the end" are the first chosen frames
        to_end = (axis.time - axis.numbers) * counted
        largest, _ = g.op("TopK", to_end, self.width, outputs=2, axis=1)
        self.valid = largest > 0
        self.index = (axis.time - largest) * self.valid.as_int()
        self.rows = (self.index + axis.row_of_utterance(axis.time)).reshape(-1)
        order = g.op("CumSum", counted, 1) - 1
        self.place = order + axis.row_of_utterance(self.width)

    def gather(self, full: Value) -> Value:
        """Take the chosen frames out: rows (B*T, C) -> (B*N, C)."""
        return full.take(self.rows)

    def scatter(self, packed: Value, full: Value) -> Value:
        """Put packed rows (B*N, ...) in place of those among (B*T, ...)."""
        g, axis = self.axis.g, self.axis
        others = axis.rows + axis.batch * self.width
        source = self.place.where(self.chosen, others).reshape(-1)
        return g.concat(packed, full, axis=0).take(source)


def widen(axis: Axis, frames: Value, radius: Value) -> Value:
    """Add the ``radius`` (1,) frames on both sides of each chosen frame (B, T) bool.

    Counts the chosen frames between t - radius and t + radius.
    """
    g = axis.g
    before = g.op("CumSum", frames.as_int(), 1, exclusive=1)
    upto = g.op("CumSum", frames.as_int(), 1)
    first = g.op("Max", axis.numbers - radius, 0).reshape(-1)
    last = g.op("Min", axis.numbers + radius, axis.time - 1).reshape(-1)
    return upto.take(last, axis=1) > before.take(first, axis=1)
