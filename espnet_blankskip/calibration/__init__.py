"""``blankskip calibrate``: what skipping costs and saves on one checkpoint and data.

A model that skips well on one set may lose everything on another, so nothing here
is predicted: every point of the sweep is a real skipping pass.
"""
