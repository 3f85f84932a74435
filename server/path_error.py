"""Why a row has no picture: an exception whose text is the row's status, in one plain line."""

from __future__ import annotations


class PathError(ValueError):
    """A path or URL that is not answered; its text is the row's status."""


class ExchangedError(PathError):
    """Another file stands where one was found."""

    def __init__(self) -> None:
        super().__init__("the file was exchanged while it was read: ask again")


class TooManyBytesError(PathError):
    """A picture above the limit."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"too many bytes: {size / 1e6:,.1f} MB, the limit is {limit / 1e6:,.1f} (--max-image-mb)")
