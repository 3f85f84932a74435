"""Which version an alias means, and meant: promotions, the way back, and files that are never half."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from toy import write_toy

from models.aliases import ALIAS_FILE, HISTORY_FILE, REMEMBERED, Aliases
from models.errors import DamagedModelError, ModelError, UnknownModelError
from models.promotion import promote, roll_back, take_away
from models.registry import Registry

ROOT = Path(__file__).parents[2]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A store with 玩具 1, 2, 3."""
    for version in ("1", "2", "3"):
        write_toy(tmp_path, "玩具", version)
    return Registry([tmp_path])


def meant(registry: Registry, reference: str = "玩具") -> str:
    """The version that a reference means."""
    return registry.resolve(reference).spec.version


def test_a_promotion_changes_what_a_bare_name_means(registry: Registry) -> None:
    """And tells what it meant before: without an alias the highest version."""
    change = promote(registry, "玩具@1")
    assert (meant(registry), change.version, change.before) == ("1", "1", "3")


def test_the_way_back_leads_through_everything_before(registry: Registry) -> None:
    """Step by step, to what the bare name meant before there was an alias; then there is nothing more."""
    for version in ("1", "2", "1"):
        promote(registry, f"玩具@{version}")
    back = [roll_back(registry, "玩具").version for _ in range(3)]
    with pytest.raises(ModelError, match=r"玩具@champion meant nothing before; `run\.py models promote 玩具@VERSION`"):
        roll_back(registry, "玩具")
    assert (back, meant(registry)) == (["2", "1", "3"], "3")


def test_a_promotion_twice_is_one(registry: Registry) -> None:
    """The way back does not lead to where one is."""
    for version in ("1", "2", "2"):
        promote(registry, f"玩具@{version}")
    assert roll_back(registry, "玩具").version == "1"


def test_aliases_have_ways_back_of_their_own(registry: Registry) -> None:
    """Also those in other scripts; an alias may be promoted from another."""
    promote(registry, "玩具@1", "カナリア")
    promote(registry, "玩具@2", "カナリア")
    promote(registry, "玩具@カナリア")
    assert (roll_back(registry, "玩具", "カナリア").version, meant(registry)) == ("1", "2")


def test_an_alias_can_be_taken_away_and_comes_back(registry: Registry) -> None:
    """Without a champion the highest version counts; the way back knows what it was."""
    promote(registry, "玩具@1")
    assert (take_away(registry, "玩具", "champion").before, meant(registry)) == ("1", "3")
    assert (roll_back(registry, "玩具").version, meant(registry)) == ("1", "1")
    with pytest.raises(UnknownModelError, match="玩具 has no alias 'canary'; it has: champion"):
        take_away(registry, "玩具", "canary")


@pytest.mark.parametrize(("alias", "reason"), [("7", "is all digits"), ("３", "is all digits"), ("a/b", "contains '/'"),
                                               ("", "has 0 characters")])
def test_a_strange_alias_is_refused(registry: Registry, alias: str, reason: str) -> None:
    """Digits are versions."""
    with pytest.raises(ModelError, match=reason):
        promote(registry, "玩具@1", alias)


def test_an_alias_with_the_name_of_a_version_is_refused(registry: Registry) -> None:
    """It could never be reached: a version goes first."""
    write_toy(registry.roots[0], "玩具", "v9")
    with pytest.raises(ModelError, match="玩具@v9 is a version: choose another alias"):
        promote(registry, "玩具@1", "v9")


def test_a_damaged_version_is_not_promoted(registry: Registry) -> None:
    """Nothing changes, neither forwards nor back."""
    promote(registry, "玩具@1")
    promote(registry, "玩具@2")
    for version in ("1", "3"):
        (registry.roots[0] / "玩具" / version / "model.onnx").write_bytes(b"x")
    with pytest.raises(DamagedModelError, match=r"玩具@3: model\.onnx has SHA-256"):
        promote(registry, "玩具@3")
    with pytest.raises(DamagedModelError, match=r"玩具@1: model\.onnx has SHA-256"):
        roll_back(registry, "玩具")
    assert meant(registry) == "2"


def test_removed_versions_are_passed_over_on_the_way_back(registry: Registry) -> None:
    """And named."""
    for version in ("1", "2", "3"):
        promote(registry, f"玩具@{version}")
    registry.remove("玩具", "2")
    change = roll_back(registry, "玩具")
    assert (change.version, change.passed_over) == ("1", ("2",))


def test_the_last_version_takes_the_history_with_it(registry: Registry) -> None:
    """Nothing of the model is left, once no alias holds it."""
    promote(registry, "玩具@1")
    take_away(registry, "玩具", "champion")
    (registry.folder("玩具") / f".{ALIAS_FILE}.new").write_text("{", encoding="utf-8")  # of a writer that was killed
    for version in ("1", "2", "3"):
        registry.remove("玩具", version)
    assert list(registry.roots[0].iterdir()) == []


def test_the_alias_file_is_the_one_that_was_always_read(registry: Registry) -> None:
    """An object of texts, readable by people; the history lies beside it."""
    promote(registry, "玩具@1")
    folder = registry.folder("玩具")
    texts = [json.loads((folder / name).read_text(encoding="utf-8")) for name in (ALIAS_FILE, HISTORY_FILE)]
    assert texts == [{"champion": "1"}, {"champion": ["3"]}]


def test_a_writer_killed_between_its_two_files_leaves_a_sound_way_back(registry: Registry) -> None:
    """On the way on the history is written first, on the way back last: an entry equal to the alias says nothing."""
    promote(registry, "玩具@1")
    promote(registry, "玩具@2")
    history = registry.folder("玩具") / HISTORY_FILE
    before = history.read_text(encoding="utf-8")
    history.write_text('{"champion": ["3", "1", "2"]}', encoding="utf-8")  # killed while 3 was being promoted
    assert roll_back(registry, "玩具").version == "1"
    history.write_text(before, encoding="utf-8")  # killed after the alias had moved back to 1
    assert roll_back(registry, "玩具").version == "3"


def test_the_history_is_bounded(registry: Registry) -> None:
    """The oldest entries go."""
    aliases = Aliases(registry.folder("玩具"))
    for number in range(REMEMBERED + 5):
        aliases.move_on("champion", "12"[number % 2], before="21"[number % 2])
    assert len(aliases.before("champion")) == REMEMBERED


@pytest.mark.parametrize("text", ["[]", "{", '{"champion": "1"}', '{"champion": [1]}'])
def test_a_broken_history_is_said(registry: Registry, text: str) -> None:
    """Promotions stop before anything changes."""
    promote(registry, "玩具@1")
    (registry.folder("玩具") / HISTORY_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"玩具/alias-history\.json: "):
        promote(registry, "玩具@2")
    assert meant(registry) == "1"


WRITES = """
import sys
from pathlib import Path
from models.promotion import promote
from models.registry import Registry
for number in range(15):
    promote(Registry([Path(sys.argv[1])]), f"玩具@{number % 3 + 1}", sys.argv[2])
"""


def test_writers_take_turns_and_readers_never_meet_half_a_file(registry: Registry) -> None:
    """Three processes promote aliases of their own while another reads: nothing is lost, nothing is half."""
    faults: list[Exception] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                registry.aliases("玩具")
            except ModelError as exc:
                faults.append(exc)

    reader = threading.Thread(target=read)
    reader.start()
    command = [sys.executable, "-X", "utf8", "-c", WRITES, str(registry.roots[0])]
    writers = [subprocess.Popen([*command, alias], cwd=ROOT) for alias in ("一", "二", "三")]
    statuses = [writer.wait(60) for writer in writers]
    stop.set()
    reader.join()
    history = Aliases(registry.folder("玩具")).history()
    assert (statuses, faults, registry.aliases("玩具")) == ([0, 0, 0], [], dict.fromkeys("一二三", "3"))
    assert {alias: len(targets) for alias, targets in history.items()} == dict.fromkeys("一二三", 14)
