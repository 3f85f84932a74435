"""The table of settings: its flags, its refusals, and its way to a child process and back."""

from __future__ import annotations

import argparse
import socket
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import SettingsError
from server.settings import Settings, add_arguments, as_arguments, flag_of, from_arguments, is_loopback, url_of

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
PATHS = TEXTS.map(Path)
COUNTS = st.integers(1, 10**9)
NUMBERS = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
PORTS = st.integers(0, 65535)
SETTINGS = st.builds(
    Settings, images=st.lists(PATHS, max_size=3).map(tuple), map=st.lists(TEXTS, max_size=3).map(tuple),
    allow_url=st.lists(TEXTS, max_size=3).map(tuple), url_timeout_s=NUMBERS, fetch_threads=COUNTS,
    model=st.none() | TEXTS,
    host=st.sampled_from(["127.0.0.1", "::1", "localhost"]), port=PORTS, tabpy_port=PORTS, no_tabpy=st.booleans(),
    tabpy_host=st.sampled_from(["127.0.0.1", "::1", "localhost"]), tabpy_password_file=st.none() | PATHS,
    no_evaluate=st.booleans(), public_host=st.just(()), picture_cache_mb=COUNTS,
    public_url=st.sampled_from([None, "http://localhost:9005", "https://127.0.0.1/a/b/"]),
    state=PATHS, store=PATHS, token_file=st.none() | PATHS, recheck_s=st.just(0.0) | NUMBERS, deadline_s=NUMBERS,
    drain_s=st.just(0.0) | NUMBERS, max_models=st.integers(2, 10**9), model_idle_s=st.just(0.0) | NUMBERS,
    cache_mb=COUNTS, max_rows=COUNTS, max_body_mb=COUNTS, max_image_mb=NUMBERS, max_image_megapixels=NUMBERS,
    queue_rows=COUNTS, engine=st.sampled_from(["auto", "onnx", "keras"]), half=st.booleans(), batch_size=COUNTS,
    engine_threads=COUNTS, decode_threads=COUNTS, verbose=st.booleans(), log_file=st.none() | PATHS,
    log_format=st.sampled_from(["text", "json"]), log_max_mb=NUMBERS, log_files=COUNTS)


def parse(*words: str) -> Settings:
    """The settings that a command line means."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return from_arguments(parser.parse_args(words))


@given(settings=SETTINGS)
def test_the_command_line_of_any_settings_means_them(settings: Settings) -> None:
    """What the supervisor tells its children is what it was told."""
    assert parse(*as_arguments(settings)) == settings


def test_every_setting_is_covered_by_the_round_trip() -> None:
    """A new row of the table belongs into the property above."""
    settings = Settings()
    other = replace(settings, images=(Path("a"),), map=("/a=/b",), allow_url=("https://a",), url_timeout_s=0.5,
                    fetch_threads=99, model="m", host="::1", port=1, tabpy_port=2, no_tabpy=True,
                    tabpy_host="::1", tabpy_password_file=Path("p"), no_evaluate=True, public_host=("p",),
                    public_url="https://p/q", picture_cache_mb=1,
                    state=Path("s"), store=Path("m"), token_file=Path("t"), recheck_s=0.5, deadline_s=0.5, cache_mb=1,
                    drain_s=0.5, max_models=2, model_idle_s=0.5,
                    max_rows=1, max_body_mb=1, max_image_mb=0.5, max_image_megapixels=0.5, max_decode_s=0.5,
                    max_decode_mb=1, queue_rows=1, engine="keras",
                    half=True, batch_size=1, engine_threads=99, decode_threads=99, verbose=True, log_file=Path("l"),
                    log_format="json", log_max_mb=0.5, log_files=1)
    same = [row.name for row in fields(Settings) if getattr(settings, row.name) == getattr(other, row.name)]
    assert (same, parse(*as_arguments(other))) == ([], other)


def test_without_flags_the_defaults_hold() -> None:
    """Nothing is read from anywhere else."""
    assert parse() == Settings()


def test_a_repeated_folder_flag_adds_folders() -> None:
    """Each in its place."""
    assert parse("--images", "a", "--images", "b c").images == (Path("a"), Path("b c"))


def test_values_with_a_dash_in_front_survive() -> None:
    """A folder may be called `--port`."""
    settings = replace(Settings(), images=(Path("--port"),), state=Path("-x"), model="-m")
    assert parse(*as_arguments(settings)) == settings


def test_flags_are_names_with_dashes() -> None:
    """One rule for all."""
    assert flag_of("max_image_mb") == "--max-image-mb"


def test_every_setting_has_help() -> None:
    """The table explains itself."""
    assert [row.name for row in fields(Settings) if not row.metadata["help"]] == []


def refusal(**values: Any) -> str:
    """Why these settings are refused."""
    with pytest.raises(SettingsError) as caught:
        Settings(**values)
    return str(caught.value)


@pytest.mark.parametrize("name", ["port", "tabpy_port"])
@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_is_in_its_range(name: str, port: int) -> None:
    """The flag and the value are named."""
    assert refusal(**{name: port}) == f"{flag_of(name)} is {port}; expected a port from 0 to 65535."


@pytest.mark.parametrize("name", ["deadline_s", "cache_mb", "max_rows", "max_body_mb", "max_image_mb",
                                  "max_image_megapixels", "queue_rows", "batch_size", "engine_threads",
                                  "decode_threads", "log_max_mb", "log_files", "fetch_threads", "url_timeout_s"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_amounts_are_above_zero_and_finite(name: str, value: float) -> None:
    """`nan` passes no comparison and would switch a limit off."""
    assert refusal(**{name: value}) == f"{flag_of(name)} is {value}; expected a number above 0."


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_the_window_is_zero_or_more(value: float) -> None:
    """Zero looks again every time."""
    assert refusal(recheck_s=value) == f"--recheck-s is {value}; expected 0 or more seconds."


def test_two_versions_at_least_may_be_open() -> None:
    """Else none could be exchanged."""
    assert refusal(max_models=1) == "--max-models is 1; expected 2 or more: the default model and another."


def test_the_window_may_be_zero() -> None:
    """For folders that change all the time."""
    assert Settings(recheck_s=0).recheck_s == 0


def test_engines_are_known_ones() -> None:
    """The three are listed."""
    assert refusal(engine="torch") == "--engine is 'torch'; expected auto, onnx or keras."


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "pixfield.example", "", "::ffff:10.0.0.1", "0"])  # noqa: S104 - refused
def test_beyond_loopback_a_token_is_needed(host: str) -> None:
    """The remedy is in the sentence."""
    expected = f"--host {host} is open to other machines: add --token-file FILE (a token in it)."
    assert refusal(host=host) == expected


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "tabpy.example", ""])  # noqa: S104 - refused
def test_beyond_loopback_tabpy_needs_passwords(host: str) -> None:
    """A token is of no use there: TabPy runs scripts."""
    expected = (f"--tabpy-host {host} lets other machines run scripts: add --tabpy-password-file FILE (made by"
                " `tabpy-user`).")
    assert refusal(tabpy_host=host, token_file=Path("token")) == expected


def test_with_passwords_tabpy_listens_anywhere() -> None:
    """The administrator's choice."""
    assert Settings(tabpy_host="tabpy.example", tabpy_password_file=Path("p")).tabpy_host == "tabpy.example"


@pytest.mark.parametrize("name", ["", "https://a.example", "a.example:443", "a/b", "a b", "*", "[::1]"])
def test_a_public_host_is_a_name_alone(name: str) -> None:
    """The Host header is compared without its port."""
    expected = f"--public-host is {name!r}; expected a name or address alone, such as pixfield.example."
    assert refusal(public_host=(name,), token_file=Path("t")) == expected


@pytest.mark.parametrize("text", [
    "", "pixfield.example", "ftp://a.example", "//a.example", "https://", "https:///a", "https://a b.example",
    "https://a.example?x", "https://a.example/?", "https://a.example/#", "https://ann@a.example", "https://:x@a.example",
    "https://a.example:0", "https://a.example:x", "https://a.example:70000", "https://[::1", "https://a.example/../b",
    "https://a.example/./b", "https://a.example//b", "https://a.example/%2e", "https://a.example/b c",
    "https://a.example\\b", "https://a.example/\n", "\thttps://a.example", "https://写真.example",
    "https://a.example/写真", "javascript://a.example/x", "https://a.example/<b>"])
def test_a_public_url_stands_in_front_of_addresses(text: str) -> None:
    """A scheme, a host, a port and folders, as they are sent; anything else stops the start."""
    expected = (f"--public-url is {text!r}; expected http or https, a host and at most folders, such as"
                " https://pixfield.example/px.")
    assert refusal(public_url=text, token_file=Path("t")) == expected


def test_a_public_url_s_host_is_a_public_host() -> None:
    """It needs a token and is one of the server's names, unless it means this machine alone."""
    assert refusal(public_url="https://a.example/px") == (
        "--public-url https://a.example/px means that other machines reach the server: add --token-file FILE (a token"
        " in it).")
    there = Settings(public_url="https://A.example:8443/px/", public_host=("b.example",), token_file=Path("t"))
    here = Settings(public_url="http://localhost:9005")
    assert (there.public_hosts, here.public_hosts) == (("b.example", "a.example"), ())


@pytest.mark.parametrize(("changes", "base"), [
    ({}, "http://127.0.0.1:9005"), ({"host": "::1", "port": 1}, "http://[::1]:1"),
    ({"host": "0.0.0.0"}, f"http://{socket.gethostname()}:9005"),  # noqa: S104 - the claim
    ({"public_url": "https://a.example"}, "https://a.example"),
    ({"public_url": "https://[::1]:1/px/"}, "https://[::1]:1/px")])
def test_what_stands_in_front_of_addresses(changes: dict[str, Any], base: str) -> None:
    """--public-url without its last slash, else where the server listens."""
    assert Settings(**changes, token_file=Path("t")).base_url == base


def test_a_public_host_needs_a_token() -> None:
    """A reverse proxy makes loopback reachable."""
    assert refusal(public_host=("a.example",)) == ("--public-host a.example means that other machines reach the server:"
                                                   " add --token-file FILE (a token in it).")


@given(names=st.lists(st.sampled_from(["a", "b.example", "::1"])).map(tuple))
def test_public_hosts_survive_the_command_line(names: tuple[str, ...]) -> None:
    """Each in its place."""
    settings = Settings(public_host=names, token_file=Path("t"))
    assert parse(*as_arguments(settings)) == settings


def test_a_missing_password_file_is_named(tmp_path: Path) -> None:
    """Before anything is started."""
    with pytest.raises(SettingsError, match=r"--tabpy-password-file .*missing: there is no such file"):
        Settings(tabpy_password_file=tmp_path / "missing").with_checked_folders()


@pytest.mark.parametrize("host", ["0.0.0.0", "pixfield.example"])  # noqa: S104 - behind a token
def test_with_a_token_any_address_is_taken(host: str) -> None:
    """The administrator's choice."""
    assert Settings(host=host, token_file=Path("token")).host == host


@pytest.mark.parametrize(("host", "expected"), [
    ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),  # noqa: S104
    ("::", False), ("localhost.example", False), ("10.0.0.1", False), ("", False)])
def test_loopback_is_what_only_this_machine_reaches(host: str, expected: bool) -> None:
    """Names other than localhost are not asked for: they may change."""
    assert is_loopback(host) == expected


def test_a_missing_picture_folder_is_named(tmp_path: Path) -> None:
    """Before anything is started."""
    missing = tmp_path / "missing"
    settings = Settings(images=(tmp_path, missing))
    with pytest.raises(SettingsError) as caught:
        settings.with_checked_folders()
    assert str(caught.value) == f"--images {missing}: there is no such folder; name one that exists."


def test_present_picture_folders_pass(tmp_path: Path) -> None:
    """Unchanged."""
    settings = Settings(images=(tmp_path,))
    assert settings.with_checked_folders() is settings


@pytest.mark.parametrize("flag", ["--images", "--state", "--store", "--token-file"])
def test_an_empty_path_is_refused(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--images "$PHOTOS"` without that variable does not open the working directory to everybody."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args([flag, ""])
    assert f"argument {flag}: expected a path, received nothing" in capsys.readouterr().err


@pytest.mark.parametrize(("host", "reached"), [("127.0.0.1", "127.0.0.1"), ("::", "[::1]"), ("nas", "nas"),
                                               ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - a text
                                               ("::1", "[::1]"), ("fe80::2", "[fe80::2]")])
def test_a_server_is_reached_in_the_family_it_listens_in(host: str, reached: str) -> None:
    """One that listens on :: does not answer at 127.0.0.1."""
    assert url_of(host, 9005) == f"http://{reached}:9005"
