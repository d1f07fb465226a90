"""The error that ends a stage."""


class StageError(RuntimeError):
    """A stage cannot go on.

    Args:
        message: One line for the user.
        details: Lines to show before it, for example the end of a log.
    """

    def __init__(self, message: str, details: str = ""):
        super().__init__(message)
        self.details = details
