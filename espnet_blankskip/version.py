"""This package's version, and whether one version is older than another."""

__version__ = "0.2.0"


def is_older(version: str, than: str) -> bool:
    """Whether a version comes before another (PEP 440).

    Raises:
        ValueError: one of them is no version.
    """
    from packaging.version import Version

    return Version(version) < Version(str(than))
