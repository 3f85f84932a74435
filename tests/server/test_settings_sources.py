"""Settings from a TOML file, the environment and flags: their order, their refusals, and how they are shown."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from test_settings import SETTINGS

from server import settings_sources
from server.errors import SettingsError
from server.settings import Settings, as_arguments, contrary_flag_of
from server.settings_sources import SourcedSettings

ROOT = Path(__file__).resolve().parents[2]


def read(*words: str, config: Path = Path("/no/such/file"), environment: Mapping[str, str] | None = None,
         are_folders_checked: bool = False) -> SourcedSettings:
    """What a start with these words means; `config` stands for the file beside run.py."""
    parser = argparse.ArgumentParser()
    settings_sources.add_arguments(parser)
    return settings_sources.read(parser.parse_args(words), environment=environment or {}, default_config=config,
                                 are_folders_checked=are_folders_checked)


def refusal(text: str, folder: Path) -> str:
    """Why a file with this text is refused, without the file's name."""
    config = written(text, folder)
    with pytest.raises(SettingsError) as caught:
        read(config=config)
    return str(caught.value).replace(str(config), "FILE")


def written(text: str, folder: Path) -> Path:
    """A configuration file."""
    config = folder / "pixfield.toml"
    config.write_text(text, encoding="utf-8")
    return config


def test_without_anything_the_defaults_hold() -> None:
    """And say so."""
    found = read()
    assert (found.settings, set(found.origins.values())) == (Settings(), {"default"})


def test_flags_beat_variables_beat_the_file(tmp_path: Path) -> None:
    """Each setting is taken from the strongest place that names it."""
    config = written("port = 1\ntabpy_port = 1\ncache_mb = 1\n", tmp_path)
    found = read("--port=3", config=config, environment={"PIXFIELD_PORT": "2", "PIXFIELD_TABPY_PORT": "2"})
    taken = {name: (getattr(found.settings, name), found.origins[name]) for name in ("port", "tabpy_port", "cache_mb")}
    assert taken == {"port": (3, "--port"), "tabpy_port": (2, "PIXFIELD_TABPY_PORT"), "cache_mb": (1, str(config))}


def test_a_named_file_goes_before_the_usual_one(tmp_path: Path) -> None:
    """`--config` replaces it, they are not mixed."""
    other = tmp_path / "other.toml"
    other.write_text("cache_mb = 7\n")
    found = read("--config", str(other), config=written("port = 1\n", tmp_path))
    assert (found.settings.port, found.settings.cache_mb) == (Settings().port, 7)


@pytest.mark.parametrize("name", [row.name for row in fields(Settings) if isinstance(row.default, bool)])
def test_a_flag_switches_off_what_the_file_switched_on(tmp_path: Path, name: str) -> None:
    """Otherwise flags would not be the strongest."""
    config = written(f"{name} = true\n", tmp_path)
    assert getattr(read(config=config).settings, name) is True
    assert getattr(read(contrary_flag_of(name), config=config).settings, name) is False


def test_paths_in_the_file_start_at_its_folder(tmp_path: Path) -> None:
    """So that a service finds them wherever it starts."""
    found = read(config=written('images = ["photos", "/data"]\nstate = "state"\n', tmp_path)).settings
    assert (found.images, found.state) == ((tmp_path / "photos", Path("/data")), tmp_path / "state")


def test_a_variable_lists_folders_as_path_does(tmp_path: Path) -> None:
    """With the system's own separator."""
    text = os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b c")])
    assert read(environment={"PIXFIELD_IMAGES": text}).settings.images == (tmp_path / "a", tmp_path / "b c")


def test_a_variable_lists_texts_with_semicolons() -> None:
    """URLs, drives, shares and IPv6 addresses have colons of their own."""
    found = read(environment={"PIXFIELD_ALLOW_URL": "https://img.corp:8443/a; s3://bucket/b",
                              "PIXFIELD_PUBLIC_HOST": "::1", "PIXFIELD_TOKEN_FILE": "token"}).settings
    assert (found.allow_url, found.public_host) == (("https://img.corp:8443/a", "s3://bucket/b"), ("::1",))


@pytest.mark.parametrize(("text", "expected"), [
    ("prot = 1", "FILE: there is no setting prot: did you mean port?"),
    ("[ports]\nport = 1", "FILE: there is no setting ports: did you mean port?"),
    ('port = "1"', "FILE: port is '1'; expected a whole number."),
    ("port = true", "FILE: port is True; expected a whole number."),
    ("recheck_s = 'soon'", "FILE: recheck_s is 'soon'; expected a number."),
    ("half = 1", "FILE: half is 1; expected true or false."),
    ("state = 1", "FILE: state is 1; expected a path as text."),
    ("images = 'photos'", "FILE: images is 'photos'; expected a list, each of it a path as text."),
    ("images = [1]", "FILE: images is [1]; expected a list, each of it a path as text."),
    ("port = 70000", "FILE: --port is 70000; expected a port from 0 to 65535."),
    ("host = '0.0.0.0'",
     "FILE: --host 0.0.0.0 is open to other machines: add --token-file FILE (a token in it)."),
])
def test_a_wrong_file_is_refused_by_key(tmp_path: Path, text: str, expected: str) -> None:
    """The file, the key, the value and the wish."""
    assert refusal(text, tmp_path) == expected


def test_a_file_that_is_no_toml_is_refused_by_line(tmp_path: Path) -> None:
    """A broken file never means the defaults."""
    said = refusal("port = \n", tmp_path)
    assert said.startswith("FILE is not TOML in UTF-8: ")
    assert "line 1" in said


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """When it was named."""
    with pytest.raises(SettingsError) as caught:
        read("--config", str(tmp_path / "none.toml"))
    expected = f"--config {tmp_path / 'none.toml'} cannot be read (No such file or directory): name a file that can."
    assert str(caught.value) == expected


@pytest.mark.parametrize(("variable", "text", "expected"), [
    ("PIXFIELD_PROT", "1", "PIXFIELD_PROT is set and there is no such setting: did you mean PIXFIELD_PORT?"),
    ("PIXFIELD_PORT", "x", "PIXFIELD_PORT is 'x'; expected a whole number."),
    ("PIXFIELD_PORT", "", "PIXFIELD_PORT is ''; expected a whole number."),
    ("PIXFIELD_PORT", "70000", "PIXFIELD_PORT: --port is 70000; expected a port from 0 to 65535."),
    ("PIXFIELD_HALF", "perhaps", "PIXFIELD_HALF is 'perhaps'; expected true or false."),
    ("PIXFIELD_RECHECK_S", "nan", "PIXFIELD_RECHECK_S: --recheck-s is nan; expected 0 or more seconds."),
])
def test_a_wrong_variable_is_refused_by_name(variable: str, text: str, expected: str) -> None:
    """The variable, the value and the wish."""
    with pytest.raises(SettingsError) as caught:
        read(environment={variable: text})
    assert str(caught.value) == expected


def test_variables_that_are_no_settings_pass() -> None:
    """What the functions in TabPy and run.py read."""
    environment = dict.fromkeys(settings_sources.NO_SETTINGS, "x") | {"PATH": "x"}
    assert read(environment=environment).settings == Settings()


def test_a_missing_folder_in_the_file_names_the_file(tmp_path: Path) -> None:
    """The same sentence as for a flag, and where it stands."""
    config = written('images = ["gone"]\n', tmp_path)
    with pytest.raises(SettingsError) as caught:
        read(config=config, are_folders_checked=True)
    assert str(caught.value).startswith(f"{config}: --images {tmp_path / 'gone'}: there is no such folder")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=SETTINGS)
def test_what_is_shown_is_a_file_that_means_the_same(tmp_path: Path, values: Settings) -> None:
    """Saving the output of --show-settings freezes the settings of a start."""
    found = read(*as_arguments(values))
    again = read(config=written(found.shown(), tmp_path))
    assert again.settings == found.settings


def test_show_settings_says_where_each_comes_from_and_no_token(tmp_path: Path) -> None:
    """As a user types it."""
    token = tmp_path / "token"
    token.write_text("very-secret-token")
    config = written(f'token_file = "{token}"\n', tmp_path)
    done = subprocess.run([sys.executable, "-m", "server.supervisor", "--config", str(config), "--port=1",
                           "--show-settings"], cwd=ROOT, env={**os.environ, "PIXFIELD_CACHE_MB": "9"},
                          capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    expected = {"port = 1  # --port", "cache_mb = 9  # PIXFIELD_CACHE_MB", f'token_file = "{token}"  # {config}',
                "tabpy_port = 9004  # default", "# model is not set"}
    assert expected <= set(lines)
    assert "very-secret-token" not in done.stdout + done.stderr
    assert len(lines) == len(fields(Settings))
    assert tomllib.loads(done.stdout)["port"] == 1


def test_serve_stops_on_a_wrong_file(tmp_path: Path) -> None:
    """One sentence, status 2, nothing started."""
    config = written("prot = 1\n", tmp_path)
    done = subprocess.run([sys.executable, "-m", "server.supervisor", "--config", str(config)], cwd=ROOT,
                          capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (2, f"{config}: there is no setting prot: did you mean port?\n")
