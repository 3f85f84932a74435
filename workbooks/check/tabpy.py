"""The TabPy, or the server in its place, that a check asks."""

from __future__ import annotations

import base64
from pathlib import Path

from workbooks.check.errors import TabPyError, UnreadableError
from workbooks.site import Answer, AwayError, Site, is_address, is_sendable


class TabPy(Site):
    """A site whose silence is a finding."""

    def ask(self, *path: str, value: object = None, timeout_s: float = 30.0) -> Answer:
        """As `Site.ask`; raises TabPyError when nothing answers."""
        try:
            return super().ask(*path, value=value, timeout_s=timeout_s)
        except AwayError as exc:
            raise TabPyError("tabpy-away", str(exc)) from exc


def site(url: str, authorization: str = "") -> TabPy:
    """The address, looked at first; raises UnreadableError."""
    if not is_address(url):
        raise UnreadableError(f"{url!r} is no address: write it like http://127.0.0.1:9004")
    return TabPy(url, authorization)


def basic(user: str, password_file: Path) -> str:
    """The Authorization header for a user whose password is the file's first line."""
    return "Basic " + base64.b64encode(f"{user}:{first_line(password_file)}".encode()).decode("ascii")


def bearer(token_file: Path) -> str:
    """The Authorization header with the token in a file; raises UnreadableError."""
    token = first_line(token_file)
    if not is_sendable(token):
        raise UnreadableError(f"{token_file} has a token with characters no header can carry: name the file whose first"
                              " line is the server's token.")
    return f"Bearer {token}"


def first_line(secret_file: Path) -> str:
    """The secret in a file; raises UnreadableError."""
    try:
        return (secret_file.read_text(encoding="utf-8").splitlines() or [""])[0].strip()
    except (OSError, ValueError) as exc:
        raise UnreadableError(f"{secret_file} cannot be read: name a file whose first line is the secret.") from exc
