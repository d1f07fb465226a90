"""Audio files, arrays and lists of utterances, as the rest of the package wants them.

Nothing is imported here, because ``blankskip transcribe`` starts without numpy.
"""
