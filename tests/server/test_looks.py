"""Looks of fast disks stay in the request's thread; those of slow and silent file systems hold nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from server import looks as looks_module
from server.filesystems import Places
from server.looks import FIRST, SILENT_S, SLOW_S, THREADS, Looks

pytest_plugins = ("server_fixtures",)

LOCAL = Places((("/disk", "disk"),), are_local=True)
SHARES = Places((("/good", "good"), ("/bad", "bad")), are_local=False)
SOON_S = 0.05
PATIENT_S = 20.0
Wait = Callable[[Callable[[], object]], None]


class Disk:
    """Looks at items, each `look_s` of its own clock; remembers by which threads, and waits where the gate is shut."""

    def __init__(self) -> None:
        self.now, self.look_s = 0.0, 0.0
        self.threads: list[threading.Thread] = []
        self.seen: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self._lock = threading.Lock()

    def look(self, block: Sequence[str]) -> list[str]:
        """The items themselves; those that begin with /bad wait for the gate."""
        with self._lock:
            self.now += self.look_s * len(block)
            self.threads.append(threading.current_thread())
        if block[0].startswith("/bad"):
            self.gate.wait(PATIENT_S)
        with self._lock:
            self.seen += block
        return list(block)


@pytest.fixture
def disk() -> Iterator[Disk]:
    """A disk whose gate is open in the end, so that no thread stays behind."""
    made = Disk()
    yield made
    made.gate.set()


@pytest.fixture
def ask(disk: Disk) -> Iterator[Callable[..., list[str]]]:
    """Looks at paths: `ask(paths, places=..., within_s=...)`, always with one `Looks`."""
    places = [LOCAL]
    looks = Looks(lambda: places[0], clock=time.monotonic, timer=lambda: disk.now)

    def do(paths: list[str], *, on: Places, within_s: float = PATIENT_S,
           work: Callable[[Sequence[str]], list[str]] = disk.look) -> list[str]:
        places[0] = on
        disk.now += looks_module._TABLE_S  # the table of mounts is read again
        return looks.do(paths, work, paths_of=lambda path: (path,), give_up_at=time.monotonic() + within_s)

    yield do
    disk.gate.set()
    looks.close()


Ask = Callable[..., list[str]]


def paths(folder: str, count: int) -> list[str]:
    """So many paths in a folder."""
    return [f"/{folder}/{number}" for number in range(count)]


# ---- where ---------------------------------------------------------------------------------------------------------


def test_a_fast_local_disk_is_looked_at_by_the_request_itself(ask: Ask, disk: Disk) -> None:
    """All of it, in order; no thread costs anything."""
    wanted = paths("disk", 3000)
    assert (ask(wanted, on=LOCAL), set(disk.threads)) == (wanted, {threading.current_thread()})


def test_a_slow_local_disk_is_handed_on_after_the_first_looks(ask: Ask, disk: Disk) -> None:
    """What was measured by the request itself is kept."""
    disk.look_s = 2 * SLOW_S
    wanted = paths("disk", 300)
    found = ask(wanted, on=LOCAL)
    mine = disk.threads.count(threading.current_thread())
    assert (sorted(found), mine, disk.seen[:FIRST]) == (sorted(wanted), 1, wanted[:FIRST])


def test_a_disk_found_slow_is_looked_at_by_threads_at_once_the_next_time(ask: Ask, disk: Disk) -> None:
    """The measuring is done once."""
    disk.look_s = 2 * SLOW_S
    ask(paths("disk", 300), on=LOCAL)
    disk.threads.clear()
    ask(paths("disk", 300), on=LOCAL)
    assert threading.current_thread() not in disk.threads


def test_a_disk_that_is_fast_again_is_looked_at_by_the_request_again(ask: Ask, disk: Disk) -> None:
    """A disk that was asleep does not count as slow for ever."""
    disk.look_s = 2 * SLOW_S
    ask(paths("disk", 300), on=LOCAL)
    disk.look_s = 0.0
    for _ in range(9):
        ask(paths("disk", 300), on=LOCAL)
    disk.threads.clear()
    ask(paths("disk", 300), on=LOCAL)
    assert set(disk.threads) == {threading.current_thread()}


def test_a_disk_found_slow_long_ago_is_measured_anew(ask: Ask, disk: Disk) -> None:
    """One that nobody asks any more does not send the others' looks to threads for ever."""
    disk.look_s = 2 * SLOW_S
    ask(paths("disk", 300), on=LOCAL)
    disk.look_s = 0.0
    disk.now += looks_module._SLOW_FOR_S
    disk.threads.clear()
    ask(paths("disk", 300), on=LOCAL)
    assert set(disk.threads) == {threading.current_thread()}


def test_a_share_is_never_looked_at_by_the_request_itself(ask: Ask, disk: Disk) -> None:
    """Not even one that was fast so far: the next look may hang."""
    wanted = paths("good", 300)
    assert (sorted(ask(wanted, on=SHARES)), threading.current_thread() in disk.threads) == (sorted(wanted), False)


def test_a_fast_share_costs_one_thread(ask: Ask, disk: Disk) -> None:
    """More would only wait for each other."""
    ask(paths("good", 3000), on=SHARES)
    assert len(set(disk.threads)) == 1


def test_a_slow_share_is_looked_at_by_many_threads_at_once(ask: Ask, disk: Disk) -> None:
    """After the first looks all of them are inside one: none waits for another's."""
    disk.look_s = 2 * SLOW_S
    inside: list[threading.Thread] = []
    is_met = threading.Event()

    def work(block: Sequence[str]) -> list[str]:
        if block[0] == "/good/0":
            disk.now += len(block) * disk.look_s
        else:
            inside.append(threading.current_thread())
            if len(set(inside)) == THREADS:
                is_met.set()
            is_met.wait(PATIENT_S)
        return list(block)

    wanted = paths("good", 1000)
    assert (sorted(ask(wanted, on=SHARES, work=work)), len(set(inside))) == (sorted(wanted), THREADS)


def test_what_is_on_no_disk_is_done_by_the_request_itself(disk: Disk) -> None:
    """URLs and texts that are refused unseen wait for no share."""
    looks = Looks(lambda: SHARES, clock=time.monotonic)
    found = looks.do(["https://x/a.png"], disk.look, paths_of=lambda _: (), give_up_at=0.0)
    assert (found, disk.threads) == (["https://x/a.png"], [threading.current_thread()])


# ---- a share that hangs ----------------------------------------------------------------------------------------------


def test_a_hanging_share_holds_no_request_beyond_its_deadline(ask: Ask, disk: Disk) -> None:
    """Its rows are not looked at; everything else of the column is."""
    disk.gate.clear()
    good = paths("good", 100)
    assert sorted(ask([*paths("bad", 100), *good], on=SHARES, within_s=SOON_S)) == sorted(good)


def test_a_share_that_holds_all_its_threads_holds_none_of_another(ask: Ask, disk: Disk, wait_until: Wait) -> None:
    """Each file system has threads of its own."""
    disk.gate.clear()
    for number in range(THREADS + 5):
        ask([f"/bad/{number}"], on=SHARES, within_s=0.0)
    wait_until(lambda: len(disk.threads) == THREADS)
    assert sorted(ask(paths("good", 300), on=SHARES)) == sorted(paths("good", 300))


def test_a_silent_share_is_not_waited_for_until_it_answers_again(ask: Ask, disk: Disk, wait_until: Wait,
                                                                 caplog: pytest.LogCaptureFixture) -> None:
    """A request that comes later has its pending rows at once; the log says so once."""
    disk.gate.clear()
    for number in range(THREADS):
        ask([f"/bad/{number}"], on=SHARES, within_s=0.0)
    wait_until(lambda: len(disk.threads) == THREADS)
    disk.now += SILENT_S
    began = time.monotonic()
    silent = ask(["/bad/late"], on=SHARES) + ask(["/bad/later"], on=SHARES)
    took_s = time.monotonic() - began
    disk.gate.set()
    wait_until(lambda: len(disk.seen) >= THREADS)
    wait_until(lambda: ask(["/bad/again"], on=SHARES) == ["/bad/again"])
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert (silent, took_s < PATIENT_S / 2, warnings) == (
        [], True, ["bad has not answered for 10 s: what lies there is pending until it does"])


def test_however_late_it_is_something_is_looked_at(ask: Ask, disk: Disk, wait_until: Wait) -> None:
    """Whoever asks again and again without waiting gets further."""
    ask(paths("good", 100), on=SHARES, within_s=0.0)
    wait_until(lambda: len(disk.seen) >= FIRST)
    assert disk.seen[:FIRST] == paths("good", FIRST)


def test_what_is_late_is_not_begun(ask: Ask, disk: Disk, wait_until: Wait) -> None:
    """A request that has gone leaves no work behind it but the blocks that were begun."""
    disk.gate.clear()
    ask(paths("bad", 10_000), on=SHARES, within_s=SOON_S)
    disk.gate.set()
    wait_until(lambda: ask(["/bad/next"], on=SHARES) == ["/bad/next"])
    assert len(disk.seen) < 1000


def test_requests_take_turns(ask: Ask) -> None:
    """One row on a share is answered while a long column there is under way."""
    has_begun = threading.Event()

    def work(block: Sequence[str]) -> list[str]:
        has_begun.set()
        time.sleep(0.01)  # a share's time: a hundred blocks take a second
        return list(block)

    long = threading.Thread(target=ask, args=(paths("good", 100 * FIRST),), kwargs={"on": SHARES, "work": work})
    long.start()
    has_begun.wait(PATIENT_S)
    found = ask(["/good/one"], on=SHARES)
    is_under_way = long.is_alive()
    long.join()
    assert (found, is_under_way) == (["/good/one"], True)


def test_a_fault_of_the_work_is_the_request_s(ask: Ask) -> None:
    """It is raised where it is waited for, and the threads go on."""

    def work(block: Sequence[str]) -> list[str]:
        raise ZeroDivisionError(block[0])

    with pytest.raises(ZeroDivisionError, match="/good/0"):
        ask(paths("good", 10), on=SHARES, work=work)
    assert ask(["/good/1"], on=SHARES) == ["/good/1"]


def test_closing_lets_nobody_wait_for_a_share_that_hangs(disk: Disk, wait_until: Wait) -> None:
    """A server that is stopped answers with what was looked at."""
    disk.gate.clear()
    looks = Looks(lambda: SHARES, clock=time.monotonic)
    found: list[list[str]] = []
    waiting = threading.Thread(target=lambda: found.append(looks.do(
        ["/bad/a"], disk.look, paths_of=lambda path: (path,), give_up_at=time.monotonic() + PATIENT_S)))
    waiting.start()
    wait_until(lambda: disk.threads)
    looks.stop_waiting()
    waiting.join(PATIENT_S / 2)
    assert (waiting.is_alive(), found) == (False, [[]])


def test_closing_ends_the_threads(disk: Disk) -> None:
    """None is left; what is asked afterwards is not looked at."""
    looks = Looks(lambda: SHARES, clock=time.monotonic)
    looks.do(paths("good", 10), disk.look, paths_of=lambda path: (path,), give_up_at=time.monotonic() + PATIENT_S)
    looks.close()
    after = looks.do(["/good/1"], disk.look, paths_of=lambda path: (path,), give_up_at=time.monotonic() + PATIENT_S)
    assert ([thread for thread in disk.threads if thread.is_alive()], after) == ([], [])
