"""The functions onto a stock TabPy that is already there: other process, other environment, its own state."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from stand_in import FUNCTIONS, TOKEN, StandIn, running
from tabpy_processes import TabPy, free_port, stock_tabpy

from tabpy_functions.deploy import main

pytest_plugins = ("tabpy_fixtures",)

NAMES = [str(row["name"]) for row in FUNCTIONS]


@pytest.fixture(scope="module")
def pixfield() -> Iterator[StandIn]:
    """A server whose functions these tests change."""
    with running() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def there(pixfield: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TabPy]:
    """Somebody's TabPy: a password, a token of the server's in its environment."""
    from tabpy.tabpy_server.handlers.util import hash_password

    folder = tmp_path_factory.mktemp("there")
    (folder / "passwords").write_text(f"ann {hash_password('ann', 'secret')}\n")
    env = {"PIXFIELD_URL": pixfield.url, "PIXFIELD_TOKEN": TOKEN}
    with stock_tabpy(folder, {"TABPY_PWD_FILE": str(folder / "passwords")}, env) as tabpy:
        yield tabpy


@pytest.fixture
def arguments(there: TabPy, pixfield: StandIn, token_file: Path, tmp_path: Path) -> list[str]:
    """The command line that is right."""
    password = tmp_path / "password"
    password.write_text("secret\n")
    login = ["--tabpy-user", "ann", "--tabpy-password-file", str(password)]
    pixfield.functions = list(FUNCTIONS)
    return ["--tabpy", there.url, "--server", pixfield.url, "--token-file", str(token_file), *login]


def endpoints(tabpy: TabPy) -> dict[str, dict[str, object]]:
    """What TabPy has."""
    answer: dict[str, dict[str, object]] = requests.get(
        f"{tabpy.url}/endpoints", auth=("ann", "secret"), timeout=10
    ).json()
    return answer


def test_deploys_and_says_what_to_set(
    arguments: list[str], there: TabPy, pixfield: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """All functions, public, answering; and the environment that TabPy needs."""
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert f"PIXFIELD_URL={pixfield.url}" in out
    assert "PIXFIELD_TOKEN_FILE=<a file there that holds the server's token>" in out
    assert out.endswith("It reaches the Pixfield server.\n")
    assert {name for name, info in endpoints(there).items() if info["is_public"]} == set(NAMES)
    script = "return tabpy.query('image_label', _arg1)['response']"
    assert there.evaluate(script, ["a", None], auth=("ann", "secret")).json() == ["label of a", None]
    answer = there.query("image_status", {"paths": ["a"], "model": ["missing"]}, auth=("ann", "secret")).json()
    assert answer["response"] == ["No model missing. Add it"]


def test_deploying_again_changes_nothing(
    arguments: list[str], there: TabPy, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not a version, not a time."""
    main(arguments)
    before = endpoints(there)
    capsys.readouterr()
    assert main(arguments) == 0
    assert f"TabPy at {there.url} is up to date: {len(NAMES)} functions." in capsys.readouterr().out
    assert endpoints(there) == before


def test_only_what_changed_is_deployed(arguments: list[str], there: TabPy, pixfield: StandIn) -> None:
    """A new description is a new version of that function; one that is gone from the table goes."""
    main(arguments)
    before = endpoints(there)
    pixfield.functions = [FUNCTIONS[0] | {"description": "Another text."}, *FUNCTIONS[1:-1]]
    assert main(arguments) == 0
    after = endpoints(there)
    assert after[NAMES[0]]["description"] == "Another text."
    assert int(str(after[NAMES[0]]["version"])) == int(str(before[NAMES[0]]["version"])) + 1
    assert {name: after[name] for name in NAMES[1:-1]} == {name: before[name] for name in NAMES[1:-1]}
    assert NAMES[-1] not in after


def test_functions_of_others_are_left_alone(
    there: TabPy, arguments: list[str], pixfield: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither removed nor overwritten, unless that is asked for."""
    script = f"""
from tabpy.tabpy_tools.client import Client
client = Client("http://localhost:{there.url.rpartition(":")[2]}/")
client.set_credentials("ann", "secret")
client._wait_for_endpoint_deployment = lambda *args: None
client.deploy("image_theirs", len)
"""
    assert there.evaluate(script, auth=("ann", "secret")).text == "null"
    assert main(arguments) == 0
    assert "image_theirs" in endpoints(there)
    pixfield.functions = [*FUNCTIONS, FUNCTIONS[0] | {"name": "image_theirs"}]
    capsys.readouterr()
    assert main(arguments) == 1
    assert "already has image_theirs from somebody else" in capsys.readouterr().err
    assert main([*arguments, "--replace"]) == 0
    answer = there.query("image_theirs", {"paths": ["a"]}, auth=("ann", "secret")).json()
    assert answer["response"] == ["image_theirs"]


def test_says_when_tabpy_does_not_reach_the_server(
    server: StandIn, token_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its environment lacks what the functions need, so it shows what they answer now."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    with stock_tabpy(tmp_path, {}, {"PIXFIELD_URL": nowhere}) as tabpy:
        assert main(["--tabpy", tabpy.url, "--server", server.url, "--token-file", str(token_file)]) == 0
    out = capsys.readouterr().out
    assert f"Set that and restart it; at present it answers: Pixfield server not reached at {nowhere}" in out


def test_per_cent_sign_is_refused_before_it_breaks_tabpy(
    arguments: list[str], there: TabPy, pixfield: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """TabPy would write it, and not read its state again."""
    before = endpoints(there)
    pixfield.functions = [FUNCTIONS[0] | {"example": "98 %"}]
    assert main(arguments) == 1
    assert capsys.readouterr().err.startswith("The example of image_label contains '%'")
    assert endpoints(there) == before


def test_scripts_switched_off(
    server: StandIn, token_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Deploying needs them once."""
    with stock_tabpy(tmp_path, {"TABPY_EVALUATE_ENABLE": "false"}, {}) as tabpy:
        right = ["--tabpy", tabpy.url, "--server", server.url, "--token-file", str(token_file)]
        assert main(right) == 1
        assert "has scripts switched off, which deploying needs" in capsys.readouterr().err
        secret = ["--tabpy-user", "ann", "--tabpy-password-file", str(token_file)]
        assert main([*right, *secret]) == 1
        assert "asks for no password: leave out --tabpy-user" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--tabpy", "http://127.0.0.1:{closed}"], "TabPy not reached at http://127.0.0.1:{closed}"),
        (["--tabpy", "127.0.0.1:9004"], "'127.0.0.1:9004' is no address: write it like http://127.0.0.1:9004."),
        (["--server", "http://127.0.0.1:{closed}"], "Pixfield server not reached at http://127.0.0.1:{closed}: start"),
        (["--server", "{tabpy}"], "{tabpy} answered HTTP 404 to /v1/functions: name the address of a Pixfield server."),
        (["--token-file", "/nowhere/token"], "/nowhere/token cannot be read (No such file or directory)"),
        (["--tabpy-user", "bob"], "refuses the user or password"),
    ],
)
def test_failures_are_one_sentence(
    arguments: list[str], there: TabPy, change: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong and what to do, on one line of standard error."""
    values = {"closed": free_port(), "tabpy": there.url}
    assert main([*arguments, *(word.format(**values) for word in change)]) == 1
    err = capsys.readouterr().err
    assert said.format(**values) in err
    assert err.count("\n") == 1


def test_user_and_password_go_together(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One without the other is a slip."""
    assert main(arguments[:-2]) == 1
    assert capsys.readouterr().err == "--tabpy-user and --tabpy-password-file go together: give both or none.\n"
