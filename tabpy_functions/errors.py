"""What can go wrong on the TabPy side; every message is one sentence that says what to do.

TabPySideError
    FunctionTableError      the server's function table cannot be had, or TabPy cannot hold what it says
        ServerAwayError     the server does not answer yet: asking again may help
    DeployError             TabPy does not take the functions
    LaunchError             TabPy cannot be started as Pixfield needs it
"""


class TabPySideError(Exception):
    """Anything that stops the TabPy side; shown to the user as it stands."""


class FunctionTableError(TabPySideError):
    """The functions are not known: the server is away, refuses, or describes what TabPy cannot hold."""


class ServerAwayError(FunctionTableError):
    """The server does not answer yet."""


class DeployError(TabPySideError):
    """A TabPy that is already there does not take the functions."""


class LaunchError(TabPySideError):
    """The TabPy package, its port or its environment is not as the launcher needs it."""
