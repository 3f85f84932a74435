"""What stops an enrichment; every message is one or two sentences that say what to do next.

EnrichError
    InputError          the table cannot be read, or has no such column
    ServerAwayError     the server does not answer, refuses, or cannot be started
    StalledError        rows stay pending: the same command goes on later
    OutputError         OUT cannot be written, or its packages are missing
    PublishError        Tableau does not take the extract
"""


class EnrichError(Exception):
    """Anything that stops it; shown to the user as it stands."""


class InputError(EnrichError):
    """The table cannot be read, or is not as the command line says."""


class ServerAwayError(EnrichError):
    """The server does not answer, refuses the request, or cannot be started."""


class StalledError(EnrichError):
    """Rows stay pending."""


class OutputError(EnrichError):
    """OUT cannot be written."""


class PublishError(EnrichError):
    """Tableau Server or Cloud does not take the extract."""
