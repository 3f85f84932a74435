"""run.py in copies of its own, with requirements that need no network."""

import ast
import hashlib
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

VERBS = ["demo", "serve", "classify", "deploy", "doctor", "store", "service", "train", "experiment", "models",
         "workbooks", "bench", "test", "storage", "tableau", "wheels"]
RUN = Path(__file__).resolve().parents[1] / "run.py"
DEMO = """
import json, os, sys
import tinywheel
from server import beside
print(json.dumps([sys.argv[1:], os.getcwd(), sys.flags.utf8_mode, sys.prefix != sys.base_prefix]))
sys.exit(int(os.environ.get("TINY_EXIT", "7")))
"""
SERVE = """
import os, sys, time
if "--slow-imports" in sys.argv:
    print("importing", flush=True)
    time.sleep(60)
try:
    print("serving", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    sys.exit(5)
"""


def make_wheel(folder: Path, name: str) -> str:
    """The smallest package there is, installable without network."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return f"./{path.name}"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of its own in a folder with a blank and Japanese letters, installed by the first test that runs it."""
    root = tmp_path_factory.mktemp("project") / "画像 folder"
    (root / "server").mkdir(parents=True)
    (root / "run.py").write_bytes(RUN.read_bytes())
    (root / "server" / "__init__.py").write_text("")
    (root / "server" / "beside.py").write_text("")
    (root / "server" / "demo.py").write_text(DEMO)
    (root / "server" / "supervisor.py").write_text(SERVE)
    (root / "requirements-serve.txt").write_text(f"{make_wheel(root, 'tinywheel')}  # the copy's one package\n")
    (root / "requirements.txt").write_text(f"-r requirements-serve.txt\n{make_wheel(root, 'tinymore')}\n")
    return root


def run(root: Path, *arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """`python run.py ...` as a user types it."""
    command = [sys.executable, str(root / "run.py"), *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        command, cwd=cwd, env={**clean, "PIP_NO_INDEX": "1", **env}, capture_output=True, encoding="utf-8", check=False
    )


def heed_ctrl_c() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would all that the tests start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_reads_on_old_pythons() -> None:
    """Down to 3.6, to say what it needs."""
    ast.parse(RUN.read_text(encoding="utf-8"), feature_version=(3, 6))


@pytest.mark.parametrize("arguments", [[], ["--help"], ["help"]])
def test_help_lists_the_verbs(tmp_path: Path, arguments: list[str]) -> None:
    """One line each, without installing anything."""
    (tmp_path / "run.py").write_bytes(RUN.read_bytes())
    result = run(tmp_path, *arguments)
    assert result.returncode == 0
    lines = [line.split()[0] for line in result.stdout.splitlines() if line.startswith("  ")]
    assert lines == VERBS
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        ("dmo", "There is no verb dmo: did you mean demo?\n"),
        ("zzz", f"There is no verb zzz: there are {', '.join(VERBS)}.\n"),
    ],
)
def test_unknown_verb(tmp_path: Path, verb: str, said: str) -> None:
    """One sentence and the closest match."""
    (tmp_path / "run.py").write_bytes(RUN.read_bytes())
    result = run(tmp_path, verb)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", said)


def test_two_first_starts_at_once(copy: Path) -> None:
    """Both run in the end, on one sound install; the second says what it waits for."""
    command = [sys.executable, str(copy / "run.py"), "demo"]
    env = {**os.environ, "PIP_NO_INDEX": "1"}
    starts = [
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
        for _ in range(2)
    ]
    said = [start.communicate(timeout=100)[1] for start in starts]
    assert [start.returncode for start in starts] == [7, 7], said
    assert sum("Another start is installing: waiting for it." in text for text in said) == 1
    assert sum("Installing requirements-serve.txt (once)" in text for text in said) == 1


def test_next_start_is_immediate_and_in_the_users_folder(copy: Path, tmp_path: Path) -> None:
    """No word of installing, UTF-8 on, arguments and exit code passed on, relative paths the user's own."""
    run(copy, "demo")
    (tmp_path / "server").mkdir()  # a folder of the user's that must not be taken for ours
    (tmp_path / "server" / "__init__.py").write_text("raise SystemExit('the wrong server')")
    result = run(copy, "demo", "--images", "here", cwd=tmp_path, TINY_EXIT="3")
    assert (result.returncode, result.stderr) == (3, "")
    expected = f'[["--images", "here"], "{tmp_path}", 1, true]\n'
    assert result.stdout.encode().decode("unicode_escape") == expected


def test_more_is_installed_when_a_verb_needs_it(copy: Path) -> None:
    """`models add` needs everything, `models list` does not; a refusal without network spoils nothing."""
    run(copy, "demo")
    requirements = copy / "requirements.txt"
    before = requirements.read_text()
    requirements.write_text("-r requirements-serve.txt\nno-such-package-anywhere\n")
    listed, added = run(copy, "models", "list"), run(copy, "models", "add", "x")
    requirements.write_text(before)
    assert "Installing" not in listed.stderr
    assert added.returncode == 1
    assert added.stderr.endswith("mend that (often it is the network) and start again.\n")
    assert run(copy, "demo").stderr == ""
    assert "Installing requirements.txt (once)" in run(copy, "models", "add", "x").stderr
    assert "Installing" not in run(copy, "bench").stderr


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_reaches_the_verb_alone(copy: Path) -> None:
    """run.py has become the verb: no process is left behind, the exit code is the verb's."""
    run(copy, "demo")
    command = [sys.executable, str(copy / "run.py"), "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c) as process:  # noqa: PLW1509 - one signal
        assert process.stdout is not None
        assert process.stdout.readline() == "serving\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 5


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_among_the_imports_is_no_traceback(copy: Path) -> None:
    """Most of a verb's first second."""
    run(copy, "demo")
    command = [sys.executable, str(copy / "run.py"), "serve", "--slow-imports"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, preexec_fn=heed_ctrl_c) as process:  # noqa: PLW1509 - one signal
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        assert (process.communicate(timeout=10)[1], process.returncode) == ("", 130)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_install_that_was_killed_is_redone(copy: Path) -> None:
    """Half of an environment is not taken for a whole one."""
    run(copy, "demo")
    requirements = copy / "requirements-serve.txt"
    requirements.write_text(requirements.read_text() + "# changed\n")
    command = [sys.executable, str(copy / "run.py"), "demo"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not (copy / ".venv" / "pixfield-installing").exists():
            time.sleep(0.005)
        process.kill()
    result = run(copy, "demo")
    assert "The last install was broken off: starting afresh." in result.stderr
    assert result.returncode == 7


def test_marker_names_the_requirements_as_they_are(copy: Path) -> None:
    """The digest covers the file, those it includes, and Python's version."""
    run(copy, "demo")
    text = "{}.{}".format(*sys.version_info) + (copy / "requirements-serve.txt").read_text()
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest in (copy / ".venv" / "pixfield-installed.json").read_text()


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for a Python")
def test_old_python_finds_a_new_one_or_says_what_is_needed(copy: Path, tmp_path: Path) -> None:
    """Which Python is asked for, in one sentence."""
    root = tmp_path / "project"
    root.mkdir()
    text = (copy / "run.py").read_text(encoding="utf-8").replace("sys.version_info[:2]", "(3, 6)")
    (root / "run.py").write_text(text, encoding="utf-8")
    (root / "requirements-serve.txt").write_text("")
    result = run(root, "demo", PATH=str(tmp_path))
    assert result.returncode == 1
    assert result.stderr == (
        "Pixfield needs Python 3.11, 3.12 or 3.13 and this is 3.6: install one from https://www.python.org.\n"
    )


def offline_copy(root: Path) -> Path:
    """A project whose one package is asked for by its name, so that it must be found somewhere."""
    (root / "server").mkdir(parents=True)
    (root / "run.py").write_bytes(RUN.read_bytes())
    (root / "server" / "__init__.py").write_text("")
    (root / "server" / "beside.py").write_text("")
    (root / "server" / "demo.py").write_text(DEMO)
    (root / "requirements-serve.txt").write_text("tinywheel==1.0\n")
    (root / "requirements.txt").write_text("-r requirements-serve.txt\n")
    return root


def test_an_installation_takes_everything_from_a_wheel_folder(tmp_path: Path) -> None:
    """By option, relative to the user's folder, and without any index; without the folder it fails."""
    root = offline_copy(tmp_path / "project")
    (tmp_path / "wheel house").mkdir()
    make_wheel(tmp_path / "wheel house", "tinywheel")
    assert run(root, "demo").returncode == 1
    words = ["--wheels", "wheel house", "demo", "--images", "x"]
    result = run(root, *words, cwd=tmp_path, PIP_NO_INDEX="0", PIP_INDEX_URL="http://127.0.0.1:9")
    assert result.returncode == 7, result.stderr
    assert '["--images", "x"]' in result.stdout


def test_a_wheel_folder_may_be_named_by_a_variable(tmp_path: Path) -> None:
    """For a service, or an image that is built."""
    root = offline_copy(tmp_path / "project")
    (tmp_path / "wheels").mkdir()
    make_wheel(tmp_path / "wheels", "tinywheel")
    result = run(root, "demo", PIXFIELD_WHEELS=str(tmp_path / "wheels"))
    assert result.returncode == 7, result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--wheels"], "--wheels needs a folder: python run.py --wheels DIR VERB\n"),
        (
            ["--wheels", "none", "demo"],
            "--wheels none: there is no such folder; make it with `python run.py wheels DIR`.\n",
        ),
        (["wheels"], "wheels needs a folder: python run.py wheels DIR [--all | --storage | --tableau]\n"),
    ],
)
def test_a_missing_wheel_folder_is_said(tmp_path: Path, arguments: list[str], said: str) -> None:
    """One sentence, nothing made."""
    root = offline_copy(tmp_path / "project")
    result = run(root, *arguments)
    assert (result.returncode, result.stderr) == (2, said)
    assert not (root / ".venv").exists()


def test_storage_is_installed_once_beside_what_serves(copy: Path, tmp_path: Path) -> None:
    """By its own verb; nothing is started, another verb needs no install then, and its wheels can be gathered."""
    (copy / "requirements-storage.txt").write_text(f"-r requirements-serve.txt\n{make_wheel(copy, 'tinystore')}\n")
    first, again, demo = run(copy, "storage"), run(copy, "storage"), run(copy, "demo")
    assert [(result.returncode, "Installing" in result.stderr) for result in (first, again, demo)] == [
        (0, True), (0, False), (7, False)]
    said = "Installed: python run.py serve --allow-url s3://BUCKET/FOLDER (or az:, gs:)\n"
    assert (first.stdout, again.stdout) == (said, said)
    assert run(copy, "wheels", "stored", "--storage", cwd=tmp_path).returncode == 0
    assert len(list((tmp_path / "stored").iterdir())) == 2
    assert run(copy, "storage", "s3").returncode == 2


def test_wheels_are_gathered_for_another_machine(copy: Path, tmp_path: Path) -> None:
    """What serving needs, or with --all everything; the copy installs from there without its index."""
    assert run(copy, "wheels", "some", cwd=tmp_path).returncode == 0
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["tinywheel-1.0-py3-none-any.whl"]
    result = run(copy, "wheels", "every", "--all", cwd=tmp_path)
    assert result.returncode == 0
    assert len(list((tmp_path / "every").iterdir())) == 2
    assert result.stdout.startswith(f"{tmp_path / 'every'} has 2 wheels for this system and Python ")
    assert run(offline_copy(tmp_path / "project"), "--wheels", str(tmp_path / "some"), "demo").returncode == 7


def test_a_linked_environment_is_not_emptied(tmp_path: Path) -> None:
    """It may be another project's, and in use."""
    root = offline_copy(tmp_path / "project")
    other = tmp_path / "other"
    other.mkdir()
    (other / "kept.txt").write_text("kept")
    (root / ".venv").symlink_to(other, target_is_directory=True)
    result = run(root, "demo")
    assert (result.returncode, result.stderr) == (
        1, f"{root / '.venv'} is a link to {other}, which is not emptied from here: remove the link and start again.\n")
    assert (other / "kept.txt").read_text() == "kept"


@pytest.mark.parametrize(("words", "requirements"), [
    (["models", "--x", "add", "m"], "requirements.txt"), (["models", "--x", "import", "m"], "requirements.txt"),
    (["models", "--x", "list", "m"], "requirements-serve.txt"), (["workbooks", "build"], "requirements-tableau.txt"),
    (["workbooks", "check", "a.twb"], "requirements-serve.txt"),
])
def test_a_verb_needs_no_more_than_it_uses(words: list[str], requirements: str) -> None:
    """Keras comes in where models are made, Hyper where extracts are written, whatever stands before the verb."""
    assert _said_by_run(f"run.requirements_of({words[0]!r}, {words[1:]!r})") == requirements


def test_what_includes_others_installs_them_as_well() -> None:
    """So that a verb that needs less finds it there."""
    assert _said_by_run("*run.included('requirements.txt')").split() == [
        "requirements.txt", "requirements-serve.txt", "requirements-tableau.txt"]


def _said_by_run(expression: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(RUN.parent)}
    done = subprocess.run([sys.executable, "-c", f"import run; print({expression})"], cwd=RUN.parent, env=environment,
                          capture_output=True, text=True, check=True)
    return done.stdout.strip()
