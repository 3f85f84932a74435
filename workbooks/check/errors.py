"""What stops a check; every message is one sentence that says what to do.

CheckError
    UnreadableError     the file is no workbook, is damaged, or is one that is refused: exit status 2
    TabPyError          TabPy or the server does not answer as it should
    ExtractError        the extract cannot be read: nothing is counted or replayed
"""


class CheckError(Exception):
    """Anything that stops a part of the check; shown to the user as it stands."""


class UnreadableError(CheckError):
    """The workbook, or a file the command names, cannot be read."""


class TabPyError(CheckError):
    """TabPy, or the server, cannot be asked; `code` is the finding it becomes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ExtractError(CheckError):
    """The data inside cannot be read or does not have what the sheet asks for."""
