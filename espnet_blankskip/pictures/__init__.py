"""Pictures: how they look, and the one of how deep each frame of an utterance ran.

Nothing is imported here, because matplotlib is an option.
"""
