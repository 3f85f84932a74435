"""What is remembered of path texts, and when a changed file is noticed."""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from server.column import Column
from server.paths import Roots
from server.sources import Sources
from server.store import Store

if TYPE_CHECKING:
    from server_fixtures import Clock, Pictures

pytest_plugins = ("server_fixtures",)

WINDOW_S = 30.0
LEAST = 1_000_000
"""Bytes of memory that are always allowed: below 2,000 rows."""

NOT_FOUND = "file not found"
LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")

Open = Callable[..., Sources]


@pytest.fixture
def reopen(pictures: Pictures, store: Store, clock: Clock) -> Open:
    """Makes a memory as after a restart: on the same store, or another one, for other roots."""

    def make(*roots: Path, on: Store = store, limit_bytes: int = 10_000_000) -> Sources:
        folders = roots or (pictures.folder,)
        return Sources(roots=Roots.of(folders), max_bytes=1_000_000, recheck_s=WINDOW_S, limit_bytes=limit_bytes,
                       store=on, clock=clock)

    return make


@pytest.fixture
def sources(reopen: Open) -> Sources:
    """An empty memory."""
    return reopen()


def learn(sources: Sources, *texts: str) -> None:
    """Do what the decoders do with files that are to be read; a file's name stands for its digest."""
    for text, found in sources.resolve(texts).to_read.items():
        sources.learn(text, found, digest_of(found[0]))


def digest_of(path: str) -> str:
    """The text in the file."""
    return Path(path).read_text(encoding="utf-8")


def rows(column: Column) -> list[str]:
    """A column as one text a row: its digest, its error, or nothing."""
    return [digest or column.errors.get(row, "") for row, digest in enumerate(column.digests)]


# ---- rows --------------------------------------------------------------------------------------------------------


def test_an_unknown_file_is_to_be_read(sources: Sources, pictures: Pictures) -> None:
    """Neither digest nor error, but a file."""
    path = pictures.write("a.png", b"A")
    column = sources.resolve(["a.png"])
    assert (rows(column), {text: found[0] for text, found in column.to_read.items()}) == ([""], {"a.png": str(path)})


def test_a_learned_file_has_its_digest(sources: Sources, pictures: Pictures) -> None:
    """And need not be read again."""
    pictures.write("a.png", b"A")
    learn(sources, "a.png")
    column = sources.resolve(["a.png"])
    assert (rows(column), column.to_read) == (["A"], {})


def test_rows_keep_their_order_and_their_repeats(sources: Sources, pictures: Pictures) -> None:
    """Also between errors and nulls."""
    for name in "ABC":
        pictures.write(name, name.encode())
    learn(sources, "A", "B", "C")
    column = sources.resolve(["C", None, "A", "absent", "C", "", "B", "A", "absent"])
    no_path = "no path given"
    assert rows(column) == ["C", no_path, "A", NOT_FOUND, "C", no_path, "B", "A", NOT_FOUND]


def test_a_repeated_unknown_file_is_to_be_read_once(sources: Sources, pictures: Pictures) -> None:
    """By text."""
    pictures.write("a.png", b"A")
    assert list(sources.resolve(["a.png", "a.png", "a.png"]).to_read) == ["a.png"]


def test_nulls_blanks_and_tableau_s_star_have_reasons(sources: Sources) -> None:
    """The star says what to do in Tableau."""
    star = "several paths in one mark (ATTR gave *): put the path field on Detail"
    assert rows(sources.resolve([None, "", "*", " "])) == ["no path given", "no path given", star, "no path given"]


def test_the_fixed_reasons_are_never_out_of_date(sources: Sources, clock: Clock) -> None:
    """After a century they are as they were."""
    before = rows(sources.resolve([None, "", "*"]))
    clock.now += 3e9
    assert rows(sources.resolve([None, "", "*"])) == before


def test_an_empty_column_is_empty(sources: Sources) -> None:
    """No rows, no work."""
    column = sources.resolve([])
    assert (rows(column), column.to_read) == ([], {})


def test_a_lone_surrogate_is_a_row_s_error(sources: Sources, pictures: Pictures) -> None:
    """The rows beside it are answered."""
    pictures.write("A", b"A")
    learn(sources, "A")
    assert rows(sources.resolve(["\ud800", "A", "\udfff/a.png"])) == [NOT_FOUND, "A", NOT_FOUND]


@pytest.mark.skipif(os.name != "posix", reason="there are no such names elsewhere")
def test_a_name_that_is_no_utf_8_is_answered_and_stops_nothing(sources: Sources, pictures: Pictures, store: Store,
                                                               reopen: Open) -> None:
    """The store cannot hold it; memory does, and what is stored beside it is stored."""
    odd = os.fsdecode(b"caf\xe9.png")
    pictures.write(odd, b"odd")
    pictures.write("A", b"A")
    learn(sources, odd, "A")
    store.flush()
    assert (rows(sources.resolve([odd, "A"])), rows(reopen().resolve(["A"]))) == (["odd", "A"], ["A"])


@pytest.mark.skipif(os.name != "posix", reason="there are no such names elsewhere")
def test_a_root_that_is_no_utf_8_is_served(pictures: Pictures, store: Store, reopen: Open) -> None:
    """Its files are found, learned and answered."""
    root = pictures.folder / os.fsdecode(b"f\xfcr Tableau")
    pictures.write(f"{root.name}/A", b"A")
    sources = reopen(root)
    learn(sources, "A")
    store.flush()
    assert rows(sources.resolve(["A"])) == ["A"]


def test_a_name_under_two_roots_is_an_error(pictures: Pictures, reopen: Open) -> None:
    """With both places."""
    first, second = pictures.write("1/a.png", b"A"), pictures.write("2/a.png", b"B")
    sources = reopen(first.parent, second.parent)
    assert rows(sources.resolve(["a.png"])) == [f"ambiguous: found as {first} and as {second}"]


# ---- the window --------------------------------------------------------------------------------------------------


def test_inside_the_window_a_change_is_not_looked_for(sources: Sources, pictures: Pictures, clock: Clock) -> None:
    """A warm column costs no look at the disk."""
    pictures.write("a.png", b"A")
    learn(sources, "a.png")
    pictures.write("a.png", b"changed")
    clock.now += WINDOW_S - 0.1
    assert rows(sources.resolve(["a.png"])) == ["A"]


def test_after_the_window_a_changed_file_is_to_be_read(sources: Sources, pictures: Pictures, clock: Clock) -> None:
    """The old digest is not given meanwhile."""
    pictures.write("a.png", b"A")
    learn(sources, "a.png")
    pictures.write("a.png", b"changed")
    clock.now += WINDOW_S
    column = sources.resolve(["a.png"])
    assert (rows(column), list(column.to_read)) == ([""], ["a.png"])


def test_a_change_is_answered_once_it_is_read(sources: Sources, pictures: Pictures, clock: Clock) -> None:
    """With the new digest."""
    pictures.write("a.png", b"A")
    learn(sources, "a.png")
    pictures.write("a.png", b"changed")
    clock.now += WINDOW_S
    learn(sources, "a.png")
    assert rows(sources.resolve(["a.png"])) == ["changed"]


def test_after_the_window_an_unchanged_file_keeps_its_digest(sources: Sources, pictures: Pictures,
                                                             clock: Clock) -> None:
    """Nothing is read again, however often the window passes."""
    pictures.write("a.png", b"A")
    learn(sources, "a.png")
    columns = []
    for _ in range(3):
        clock.now += WINDOW_S
        columns.append(sources.resolve(["a.png"]))
    assert [(rows(column), column.to_read) for column in columns] == [(["A"], {})] * 3


def test_a_look_opens_a_new_window(sources: Sources, pictures: Pictures, clock: Clock) -> None:
    """Found unchanged now, it is not looked at for another window."""
    pictures.write("a.png", b"A")
    learn(sources, "a.png")
    clock.now += WINDOW_S
    sources.resolve(["a.png"])
    pictures.write("a.png", b"changed")
    clock.now += WINDOW_S - 0.1
    assert rows(sources.resolve(["a.png"])) == ["A"]


def test_a_second_change_at_the_same_time_with_the_same_size_is_noticed(sources: Sources, pictures: Pictures,
                                                                        clock: Clock) -> None:
    """A file changed less than two seconds before it was read is read again."""
    path = pictures.write("a.png", b"A", age_s=0)
    learn(sources, "a.png")
    before = path.stat()
    path.write_bytes(b"B")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    clock.now += WINDOW_S
    learn(sources, "a.png")
    assert rows(sources.resolve(["a.png"])) == ["B"]


@pytest.mark.skipif(os.name != "posix", reason="Windows refuses such times")
@pytest.mark.parametrize("year_2400_or_1900", [13_569_465_600, -2_208_988_800])
def test_a_file_of_any_year_is_stored_and_kept(sources: Sources, pictures: Pictures, store: Store, clock: Clock,
                                               year_2400_or_1900: int) -> None:
    """Nanoseconds since 1970 that SQLite cannot hold stop neither this file's row nor the rows beside it."""
    path = pictures.write("a.png", b"A")
    os.utime(path, (year_2400_or_1900, year_2400_or_1900))
    learn(sources, "a.png")
    store.flush()
    clock.now += WINDOW_S
    assert (rows(sources.resolve(["a.png"])), store.queued) == (["A"], 0)


@LINKS
def test_a_link_that_points_elsewhere_now_is_noticed(sources: Sources, pictures: Pictures, clock: Clock) -> None:
    """Though the link itself has no new size."""
    (pictures.folder / "link").symlink_to(pictures.write("A", b"A"))
    learn(sources, "link")
    (pictures.folder / "link").unlink()
    (pictures.folder / "link").symlink_to(pictures.write("B", b"B"))
    clock.now += WINDOW_S
    learn(sources, "link")
    assert rows(sources.resolve(["link"])) == ["B"]


@LINKS
def test_a_link_that_leads_outside_now_is_refused(sources: Sources, pictures: Pictures, clock: Clock,
                                                  tmp_path: Path) -> None:
    """And its old answer is not given."""
    (tmp_path / "secret").write_bytes(b"secret")
    (pictures.folder / "link").symlink_to(pictures.write("A", b"A"))
    learn(sources, "link")
    (pictures.folder / "link").unlink()
    (pictures.folder / "link").symlink_to(tmp_path / "secret")
    clock.now += WINDOW_S
    assert rows(sources.resolve(["link"])) == ["outside the allowed folders (--images)"]


def test_a_deleted_file_is_an_error_after_the_window(sources: Sources, pictures: Pictures, clock: Clock) -> None:
    """Not an answer about a file that is gone."""
    path = pictures.write("a.png", b"A")
    learn(sources, "a.png")
    path.unlink()
    clock.now += WINDOW_S
    assert rows(sources.resolve(["a.png"])) == [NOT_FOUND]


def test_a_file_that_comes_later_is_found_after_the_window(sources: Sources, pictures: Pictures, clock: Clock) -> None:
    """Errors are looked at again too, and not before."""
    sources.resolve(["a.png"])
    pictures.write("a.png", b"A")
    clock.now += WINDOW_S - 0.1
    before = rows(sources.resolve(["a.png"]))
    clock.now += 0.1
    learn(sources, "a.png")
    assert (before, rows(sources.resolve(["a.png"]))) == ([NOT_FOUND], ["A"])


def test_one_stale_row_leaves_the_fresh_ones_alone(sources: Sources, pictures: Pictures, clock: Clock) -> None:
    """Each text has a window of its own."""
    pictures.write("A", b"A")
    learn(sources, "A")
    clock.now += WINDOW_S / 2
    pictures.write("B", b"B")
    learn(sources, "B")
    for name in "AB":
        pictures.write(name, b"changed")
    clock.now += WINDOW_S / 2
    column = sources.resolve(["A", "B", "A"])
    assert (rows(column), list(column.to_read)) == (["", "B", ""], ["A"])


def test_rows_not_looked_at_in_time_have_neither_digest_nor_error(sources: Sources, pictures: Pictures,
                                                                  clock: Clock) -> None:
    """They are pending: what was known of them is out of date."""
    names = [f"{number}.png" for number in range(10_000)]
    pictures.write("A", b"A")
    sources.resolve(names)
    learn(sources, "A")
    pictures.write("A", b"changed")
    clock.now += WINDOW_S
    column = rows(sources.resolve([*names, "A"], give_up_at=clock.now))
    assert (set(column), column[-1]) == ({NOT_FOUND, ""}, "")


def test_a_column_too_long_for_one_deadline_is_done_in_parts(sources: Sources, clock: Clock) -> None:
    """Each request gets further, so asking again ends."""
    names = [f"{number}.png" for number in range(3000)]
    left: list[int] = []
    while not left or left[-1]:
        left.append(rows(sources.resolve(names, give_up_at=clock.now)).count(""))
    assert left == sorted(left, reverse=True)


# ---- memory ------------------------------------------------------------------------------------------------------


def test_the_memory_is_bounded(reopen: Open) -> None:
    """However long a column is."""
    sources = reopen(limit_bytes=LEAST)
    for number in range(3):
        sources.resolve([f"{number}-{row}.png" for row in range(4000)])
    assert len(sources) <= LEAST / 500


def test_a_giant_text_is_forgotten_again(reopen: Open, pictures: Pictures) -> None:
    """It is answered, and what is asked after it is remembered as ever."""
    sources = reopen(limit_bytes=LEAST)
    pictures.write("A", b"A")
    reasons = rows(sources.resolve(["x" * 2 * LEAST]))
    learn(sources, "A")
    assert (reasons, rows(sources.resolve(["A"])), len(sources)) == ([NOT_FOUND], ["A"], 3 + 1)


@pytest.mark.parametrize("is_filled", [False, True])
def test_what_left_the_memory_is_answered_from_the_store(reopen: Open, pictures: Pictures, is_filled: bool) -> None:
    """Without being read again, whatever the memory knew at the start."""
    sources = reopen(limit_bytes=LEAST)
    if is_filled:
        sources.fill()
    for name in "AB":
        pictures.write(name, name.encode())
    learn(sources, "A", "B")
    sources.resolve([f"{row}.png" for row in range(4000)])
    column = sources.resolve(["A", "absent", "B"])
    assert (rows(column), column.to_read) == (["A", NOT_FOUND, "B"], {})


def test_what_stays_in_memory_when_the_oldest_goes_is_right(reopen: Open, pictures: Pictures, clock: Clock) -> None:
    """Slots are given out anew: none may keep another's window or error."""
    sources = reopen(limit_bytes=LEAST)
    names = [f"{number}.png" for number in range(600)]
    for name in names:
        pictures.write(name, name.encode())
    sources.resolve([f"absent-{row}.png" for row in range(700)])
    learn(sources, *names)
    clock.now += WINDOW_S / 2
    column = sources.resolve([*names, *(f"late-{row}.png" for row in range(700))])
    again = sources.resolve([*names, *(f"late-{row}.png" for row in range(700))])
    assert rows(column) == rows(again) == [*names, *[NOT_FOUND] * 700]


def test_slots_given_out_anew_during_a_look_keep_their_own_window(reopen: Open, pictures: Pictures,
                                                                   clock: Clock) -> None:
    """The oldest half goes while a file is looked at: what then stands in its slot does not count as looked at."""
    sources = reopen(limit_bytes=LEAST)
    names = [f"{number}.png" for number in range(1000)]
    pictures.write("first", b"first")
    learn(sources, "first")
    sources.resolve(names)
    for name in names:
        pictures.write(name, name.encode())
    clock.now += WINDOW_S
    clock.then = [lambda: None, lambda: sources.resolve([f"push-{row}" for row in range(900)])]  # the first is locked
    sources.resolve(["first"])
    assert (clock.then, NOT_FOUND in rows(sources.resolve(names))) == ([], False)


def test_after_a_restart_nothing_unchanged_is_read(sources: Sources, pictures: Pictures, store: Store, reopen: Open,
                                                   tmp_path: Path) -> None:
    """The store remembers digests across processes; changed and deleted files are noticed at once."""
    names = ["kept", "changed", "deleted"]
    paths = [pictures.write(name, name.encode()) for name in names]
    learn(sources, *names)
    store.close()
    paths[1].write_bytes(b"other")
    paths[2].unlink()
    with closing(Store(tmp_path / "answers.sqlite")) as again:
        column = reopen(on=again).resolve(names)
        assert (rows(column), list(column.to_read)) == (["kept", "", NOT_FOUND], ["changed"])


def test_filling_loads_what_is_stored(sources: Sources, pictures: Pictures, store: Store, reopen: Open) -> None:
    """To be looked at on first use."""
    names = [f"{number}.png" for number in range(20)]
    for name in names:
        pictures.write(name, name.encode())
    learn(sources, *names)
    store.flush()
    again = reopen()
    assert (again.fill(), rows(again.resolve(names))) == (20, names)


def test_filling_does_not_undo_what_is_newer(sources: Sources, pictures: Pictures, store: Store) -> None:
    """A request may be answered while the memory is being filled."""
    pictures.write("a.png", b"A")
    learn(sources, "a.png")
    store.flush()
    (found,) = sources.files(["a.png"]).values()
    sources.learn("a.png", found, "newer")
    sources.fill()
    assert rows(sources.resolve(["a.png"])) == ["newer"]


def test_other_roots_share_nothing(sources: Sources, pictures: Pictures, reopen: Open) -> None:
    """The same text means another file, or none, under other folders."""
    pictures.write("a.png", b"A")
    learn(sources, "a.png")
    other = pictures.write("other/b.png", b"B").parent
    assert rows(reopen(other).resolve(["a.png"])) == [NOT_FOUND]


def test_files_are_those_last_seen(sources: Sources, pictures: Pictures) -> None:
    """For texts that are known; others are left out."""
    path = pictures.write("a.png", b"A")
    learn(sources, "a.png")
    files = sources.files(["a.png", "absent.png"])
    assert {text: found[0] for text, found in files.items()} == {"a.png": str(path)}


# ---- threads -----------------------------------------------------------------------------------------------------


def test_eight_threads_agree(reopen: Open, pictures: Pictures, clock: Clock) -> None:
    """Under eviction and passing windows every row has its own digest, its own error, or is to be read."""
    sources = reopen(limit_bytes=LEAST)
    names = [f"{number}.png" for number in range(300)]
    for name in names[::2]:
        pictures.write(name, name.encode())
    expected = {name: {name, ""} if number % 2 == 0 else {NOT_FOUND} for number, name in enumerate(names)}
    wrong: list[tuple[str, str]] = []

    def ask(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(25):
            asked = chance.choices(names, k=200)
            column = sources.resolve(asked)
            wrong.extend((name, value) for name, value in zip(asked, rows(column), strict=True)
                         if value not in expected[name])
            for text, found in column.to_read.items():
                sources.learn(text, found, text)
            sources.resolve([f"{seed}-{chance.random()}" for _ in range(60)])
            clock.now += 3

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
