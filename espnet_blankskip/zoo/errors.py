"""The one error that checkpoint commands raise for the user to read."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be opened, trusted, built, converted or packed.

    The message is one line and names the file and the option or weight at fault.
    """
