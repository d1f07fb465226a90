"""From encoder frames to tokens: greedy CTC over kept frames, and time stamps."""
