"""`run.py models`: one sentence whatever happens, and the exit status says which kind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from toy import write_toy

from models.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with two usable toys and one half copied."""
    for version in ("1", "2", "3"):
        write_toy(tmp_path, "玩具", version)
    (tmp_path / "玩具" / "3" / "model.onnx").unlink()
    return tmp_path


def test_list_shows_every_version_and_what_is_wrong(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The champion is marked, the unusable one explained."""
    assert main(["list", "--store", str(store)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["MODEL", "LABELS", "INPUT", "MB", "ENGINES", "ACCURACY"]
    assert lines[1].startswith("玩具@1 ")
    assert lines[2].startswith("玩具@2 (champion)")
    assert lines[3:] == ["unusable: 玩具@3: model.onnx is missing: the folder is half copied."]


def test_list_of_an_empty_store_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing there is no error."""
    assert main(["list", "--store", str(tmp_path)]) == 0
    assert "`run.py models add` makes one" in capsys.readouterr().out


def test_show_tells_about_a_version(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Labels in their scripts, and whether the files are intact."""
    assert main(["show", "玩具", "--store", str(store)]) == 0
    out = capsys.readouterr().out
    assert "model: 玩具@2" in out
    assert "labels: いぬ, chat, قطة" in out
    assert out.endswith("files: 10, intact\n")


def test_show_of_a_damaged_version_fails(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1 and the file's name."""
    (store / "玩具" / "2" / "model.onnx").write_bytes(b"x")
    assert main(["show", "玩具", "--store", str(store)]) == 1
    assert capsys.readouterr().err.startswith("run.py models: 玩具@2: model.onnx has SHA-256")


def test_remove_takes_the_version_away(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Usable or not; what is left still answers."""
    for version in ("3", "2"):
        assert main(["remove", f"玩具@{version}", "--store", str(store)]) == 0
    capsys.readouterr()
    assert main(["remove", "玩具@2", "--store", str(store)]) == 1
    assert capsys.readouterr().err == "run.py models: There is no 玩具@2. Models: 玩具.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "run.py models: the following arguments are required: list | show | add | import | remove |"),
        (["remove", "x"], "argument NAME@VERSION: 'x' has no version; expected NAME@VERSION;"),
        (["show", "../x"], "argument NAME[@VERSION|@ALIAS]: '../x' begins or ends with a dot"),
        (["add", "x"], "the following arguments are required: --application, --weights;"),
        (["add", "x", "--application", "lenet", "--weights", "none"], "There is no application 'lenet'; choose from"),
        (["add", "x", "--application", "VGG16", "--weights", "none", "--size", "9"], "'9' is no whole number from 32"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_status_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No usage page, no traceback."""
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_list_show_and_remove_load_no_keras(store: Path) -> None:
    """They answer at once, also where only the serving requirements are installed."""
    code = (
        "import sys; from models.cli import main; store = sys.argv[1]; "
        "codes = [main([*verb, '--store', store]) for verb in (['list'], ['show', '玩具'], ['remove', '玩具@3'])]; "
        "assert codes == [0, 0, 0], codes; assert not {'tensorflow', 'keras', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-X", "utf8", "-c", code, str(store)], check=True, cwd=ROOT, capture_output=True)


def test_without_a_network_add_imagenet_says_so(tmp_path: Path) -> None:
    """The download fails at once against a closed port; nothing is left behind."""
    pytest.importorskip("keras", reason="Keras is not installed: only the serving requirements are")
    import os

    environment = {**os.environ, "https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9",
                   "KERAS_HOME": str(tmp_path / "keras"), "no_proxy": "", "NO_PROXY": ""}
    command = [sys.executable, "-m", "models.cli", "add", "m", "--application", "MobileNetV2", "--weights", "imagenet",
               "--store", str(tmp_path / "store")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith("run.py models: The ImageNet weights and labels cannot be downloaded")
    assert not (tmp_path / "store").exists()


# ---- aliases -----------------------------------------------------------------------------------------------------


def test_aliases_are_promoted_rolled_back_and_taken_away(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is one sentence that says what the alias means now, and meant before."""
    for words in (["promote", "玩具@1"], ["promote", "玩具@1"], ["promote", "玩具@2", "--alias", "カナリア"],
                  ["rollback", "玩具"], ["unalias", "玩具@カナリア"], ["unalias", "玩具@champion"]):
        assert main([*words, "--store", str(store)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "玩具@champion is 1 now; it was 2", "玩具@champion is 1 already", "玩具@カナリア is 2 now",
        "玩具@champion is 2 now; it was 1", "玩具@カナリア means nothing any more; it was 2",
        "玩具@champion is the highest version again; it was 2"]


def test_list_and_show_name_the_aliases(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The champion first; `show` takes an alias, too."""
    for words in (["promote", "玩具@1"], ["promote", "玩具@1", "--alias", "canary"], ["list"], ["show", "玩具@canary"]):
        assert main([*words, "--store", str(store)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(")")[0] for line in lines if "canary" in line and "MODEL" not in line][1:] == [
        "玩具@1 (champion, canary", "model: 玩具@1 (champion, canary"]


@pytest.mark.parametrize(("words", "status", "sentence"), [
    (["promote", "玩具"], 2, "'玩具' has no version; expected NAME@VERSION"),
    (["promote", "玩具@1", "--alias", "12"], 2, "'12' is all digits, as a version is"),
    (["promote", "玩具@9"], 1, "There is no 玩具@9."), (["promote", "玩具@3"], 1, "玩具@3: model.onnx is missing"),
    (["promote", "玩具@1", "--alias", "2"], 2, "'2' is all digits"),
    (["unalias", "玩具"], 2, "'玩具' has no alias; expected NAME@ALIAS"),
    (["rollback", "玩具"], 1, "玩具@champion meant nothing before"), (["rollback", "x"], 1, "There is no model 'x'."),
    (["unalias", "玩具@canary"], 1, "玩具 has no alias 'canary'; it has: none.")])
def test_an_alias_that_cannot_be_changed_is_one_sentence(store: Path, capsys: pytest.CaptureFixture[str],
                                                         words: list[str], status: int, sentence: str) -> None:
    """And nothing has changed."""
    assert main([*words, "--store", str(store)]) == status
    error = capsys.readouterr().err
    assert (sentence in error, error.count("\n"), (store / "玩具" / "aliases.json").exists()) == (True, 1, False)
