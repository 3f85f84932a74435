"""Request errors: what the caller did wrong or must wait for, as an HTTP status with a code, a message and a hint.

Row errors are not here: a picture that cannot be read is data (a null and a reason), never an exception of the request.

    RequestError
    |-- BadRequestError (400)      the body is not what the endpoint takes
    |-- UnauthorisedError (401)    no token, or a wrong one
    |-- ForbiddenError (403)       a page of another site asks
    |-- UnknownError (404)         no such model, function, field or page
    |-- TooLargeError (413)        more bytes or rows than the limit
    |-- MisdirectedError (421)     addressed to a name that is not this server's
    |-- UnprocessableError (422)   understood, but the values make no sense
    `-- BusyError (503)            full or not ready: try again after `retry_after_s`
    SettingsError                  the start is refused; its text is the one line the administrator reads
"""

from __future__ import annotations

from typing import Any, ClassVar


def error_body(code: str, message: str, hint: str, *, for_tableau: bool = False) -> dict[str, Any]:
    """The form of every error; for Tableau `message` and `info` stand on top as well, where TabPy has them."""
    error = {"error": {"code": code, "message": message, "hint": hint}}
    return {**error, "message": message, "info": hint} if for_tableau else error


class RequestError(Exception):
    """A request that is answered with an error; `code` is for programs and stable, `message` and `hint` for people."""

    status: ClassVar[int] = 400

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class BadRequestError(RequestError):
    """The body is not what the endpoint takes."""


class UnauthorisedError(RequestError):
    """No token, or a wrong one."""

    status = 401


class ForbiddenError(RequestError):
    """A page of another site asks."""

    status = 403


class UnknownError(RequestError):
    """No such model, function, field or page."""

    status = 404


class TooLargeError(RequestError):
    """More bytes or rows than the limit."""

    status = 413


class MisdirectedError(RequestError):
    """Addressed to a name that is not this server's."""

    status = 421


class UnprocessableError(RequestError):
    """The request is understood, but its values make no sense."""

    status = 422


class BusyError(RequestError):
    """The server is full or not ready; the caller should come back after `retry_after_s` seconds."""

    status = 503

    def __init__(self, code: str, message: str, hint: str = "", *, retry_after_s: int = 1) -> None:
        super().__init__(code, message, hint)
        self.retry_after_s = retry_after_s


class SettingsError(Exception):
    """A setting that stops the start; its text says what is wrong and what to do, in one line."""
