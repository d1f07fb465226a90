"""From audio files to transcripts on disk: what ``blankskip transcribe`` does.

Nothing here imports torch: the model is loaded where the decoding is done, which may
be in other processes.
"""
