"""Who may come in: names, origins and tokens, each with what is refused and how."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.doors import Doors, Tokens, name_of
from server.errors import RequestError
from server.settings import Settings

OLD, NEW = "old-token-0123456789", "new-token-0123456789"


def refused(doors: Doors, path: str = "/v1/models", *, host: str | None = "localhost:9005", origin: str | None = None,
            authorization: str | None = None, protocol: str = "HTTP/1.1") -> str | None:
    """The code of the refusal, or None."""
    named = {"HTTP_HOST": host, "HTTP_ORIGIN": origin, "HTTP_AUTHORIZATION": authorization,
             "SERVER_PROTOCOL": protocol}
    refusal = doors.refusal(path, {name: value for name, value in named.items() if value is not None})
    return refusal.code if refusal else None


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9005", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:9005",
                                  "localhost.", "pixfield.example", "Pixfield.Example:443"])
def test_its_own_names_open_it(tmp_path: Path, host: str) -> None:
    """In either case of letters, with or without a port; the browser sends the same as Origin."""
    (tmp_path / "token").write_text(NEW)
    doors = Doors.of(Settings(public_host=("pixfield.example",), token_file=tmp_path / "token"))
    own = f"Bearer {NEW}"
    assert [refused(doors, host=host, authorization=own),
            refused(doors, origin=f"https://{host}", authorization=own)] == [None, None]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9005", "localhost.evil.example", "127.0.0.1.nip.io",
                                  "10.0.0.1", "0.0.0.0", "127.0.0.2", "[::2]", "[::ffff:127.0.0.1]", "2130706433",  # noqa: S104 - refused
                                  "0x7f.1", "notlocalhost", "xn--localhost"])
def test_other_names_are_refused(host: str) -> None:
    """A name that points here now may belong to anyone, and so may an origin of that name."""
    doors = Doors.of(Settings())
    assert [refused(doors, host=host), refused(doors, origin=f"http://{host}")] == ["unknown_host", "foreign_origin"]


@pytest.mark.parametrize("host", [None, "", " ", ":9005", "localhost@evil.example", "evil.example/localhost", "[::1",
                                  "localhost:9005:9005", "localhost:abc", "localhost, evil.example", "lo\xe9al", "[]",
                                  ".", "localhost\x00", "a b", "localhost:999999"])
def test_what_is_no_host_is_refused(host: str | None) -> None:
    """HTTP/1.1 wants one."""
    assert refused(Doors.of(Settings()), host=host) == "bad_host"


@pytest.mark.parametrize("origin", ["null", "", "file://", "http://[", "localhost", "http://localhost@evil.example",
                                    "chrome-extension://abcdef", "http://evil.example\\@localhost"])
def test_odd_origins_are_foreign(origin: str) -> None:
    """What cannot be told is not ours."""
    assert refused(Doors.of(Settings()), origin=origin) == "foreign_origin"


def test_health_checks_of_http_1_0_need_no_host() -> None:
    """No browser speaks it."""
    doors = Doors.of(Settings())
    assert [refused(doors, host=None, protocol="HTTP/1.0"), refused(doors, host="evil.example", protocol="HTTP/1.0")] \
        == [None, "unknown_host"]


def test_on_every_address_an_address_is_a_name(tmp_path: Path) -> None:
    """Nobody can make an address point elsewhere; names must be told, but for the machine's own."""
    (tmp_path / "token").write_text(NEW)
    doors = Doors.of(Settings(host="0.0.0.0", token_file=tmp_path / "token"))  # noqa: S104 - the claim
    machine = socket.gethostname()
    given = [refused(doors, "/healthz", host=host) for host in ("10.1.2.3:9005", "[fe80::1]", "evil.example", machine,
                                                                f"{machine}.corp.example", f"x{machine}")]
    assert given == [None, None, "unknown_host", None, None, "unknown_host"]


def test_health_needs_no_token_and_all_else_does(tmp_path: Path) -> None:
    """Pages that are not there included."""
    (tmp_path / "token").write_text(NEW)
    doors = Doors.of(Settings(token_file=tmp_path / "token"))
    assert [refused(doors, path) for path in ("/healthz", "/readyz", "/metrics", "/none", "/", "/healthz/", "//healthz",
                                              "/HEALTHZ", "/v1/../healthz")] == [None] + ["no_token"] * 8


@pytest.mark.parametrize("header", [f"Bearer {NEW}", f"bearer {OLD}", f"BEARER   {NEW} "])
def test_both_tokens_hold(tmp_path: Path, header: str) -> None:
    """The scheme in either case."""
    (tmp_path / "token").write_text(f"{NEW}\n{OLD}\n")
    assert refused(Doors.of(Settings(token_file=tmp_path / "token")), authorization=header) is None


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", NEW, f"Basic {NEW}", f"Bearer {NEW}x",
                                    f"Bearer {NEW[:-1]}", f"Bearer {NEW} {NEW}", f"Bearer {NEW}, Bearer {NEW}",
                                    f"Bearer\t{NEW}", "Bearer schl\xfcssel", "Bearer \u20ac", "Bearer \x00",
                                    "Bearer " + "x" * 60_000, f"Bearer {NEW}\n{OLD}", f"Negotiate {NEW}"])
def test_malformed_authorization_is_refused(tmp_path: Path, header: str | None) -> None:
    """As 401, never as a fault."""
    (tmp_path / "token").write_text(f"{NEW}\n{OLD}\n")
    assert refused(Doors.of(Settings(token_file=tmp_path / "token")), authorization=header) == "no_token"


@given(host=st.text(), authorization=st.text(), origin=st.none() | st.text(), path=st.text())
def test_any_headers_are_answered(host: str, authorization: str, origin: str | None, path: str) -> None:
    """Nothing but a RequestError comes out."""
    doors = Doors.of(Settings())
    headers = {"HTTP_HOST": host, "HTTP_AUTHORIZATION": authorization}
    refusal = doors.refusal(path, headers if origin is None else headers | {"HTTP_ORIGIN": origin})
    assert refusal is None or isinstance(refusal, RequestError)
    assert name_of(host) is None or name_of(host) == (name_of(host) or "").lower()


def test_tokens_are_exchanged_without_a_restart(tmp_path: Path) -> None:
    """Add the new one, change the callers, remove the old one; the file may be written over or replaced."""
    file = tmp_path / "token"
    file.write_text(OLD)
    tokens = Tokens(file)
    held = []
    for content in (f"{NEW}\n{OLD}\n", NEW, OLD):
        (tmp_path / "next").write_text(content)
        (tmp_path / "next").replace(file)
        held.append((tokens.has(OLD.encode()), tokens.has(NEW.encode())))
    assert held == [(True, True), (False, True), (True, False)]


@pytest.mark.parametrize("content", [b"", b"\n", "schlüssel".encode(), None])
def test_a_file_that_went_bad_changes_nothing(tmp_path: Path, content: bytes | None,
                                              caplog: pytest.LogCaptureFixture) -> None:
    """Neither open to all nor closed to everybody; the log says so once and shows no token."""
    file = tmp_path / "token"
    file.write_text(OLD)
    tokens = Tokens(file)
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert [tokens.has(OLD.encode()), tokens.has(b""), tokens.has(NEW.encode())] == [True, False, False]
    assert (caplog.text.count("tokens of before go on holding"), OLD in caplog.text) == (1, False)


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    """A look at its times is all a request costs."""
    file = tmp_path / "token"
    file.write_text(OLD)
    tokens = Tokens(file)
    if os.name == "posix" and os.geteuid() != 0:
        file.chmod(0)
    assert tokens.has(OLD.encode())
