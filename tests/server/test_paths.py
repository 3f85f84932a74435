"""Which texts lead to a file, and that none leads outside the allowed folders."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.path_error import PathError, TooManyBytesError
from server.paths import RACY, FoundFile, PathResolver, Roots, look_again, read_file, signature_of

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = "outside the allowed folders (--images)"
NOT_FOUND = "file not found"
LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
POSIX = pytest.mark.skipif(os.name != "posix", reason="there are no such files elsewhere")

Write = Callable[[str], Path]
Form = Literal["NFC", "NFD"]
FORMS: list[Form] = ["NFC", "NFD"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An allowed folder."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file that no root contains."""
    path = tmp_path / "outside" / "secret.png"
    path.parent.mkdir()
    path.write_bytes(b"secret")
    return path


@pytest.fixture
def write(root: Path) -> Write:
    """Writes a file under the root; its content is its own name."""

    def write_it(name: str) -> Path:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode(errors="surrogatepass"))
        return path

    return write_it


def resolve(text: str, *roots: Path, max_bytes: int = 1000) -> FoundFile:
    """What `text` means under `roots`."""
    return PathResolver(Roots.of(roots), max_bytes).resolve(text)


def refusal(text: str, *roots: Path, max_bytes: int = 1000) -> str:
    """Why `text` is refused."""
    with pytest.raises(PathError) as caught:
        resolve(text, *roots, max_bytes=max_bytes)
    return str(caught.value)


def read(text: str, *roots: Path) -> bytes:
    """The bytes that `text` leads to."""
    return read_file(resolve(text, *roots), max_bytes=1000)[0]


# ---- what is found -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "deep/er/a.png", "with spaces/a b.png", "日本/写真.png", "é.png", "-x.png"])
def test_a_relative_text_is_looked_up_under_the_root(root: Path, write: Write, name: str) -> None:
    """Folders, spaces and every script."""
    write(name)
    assert read(name, root) == name.encode()


def test_an_absolute_text_inside_the_root_is_itself(root: Path, write: Write) -> None:
    """The path found is the path written."""
    path = write("a.png")
    assert resolve(str(path), root).path == str(path)


@pytest.mark.parametrize("text", [" a.png ", "./a.png", "sub/../a.png", "a.png\t", ".//a.png"])
def test_spelling_that_changes_nothing_is_forgiven(root: Path, write: Write, text: str) -> None:
    """Spaces around, dots between."""
    path = write("a.png")
    assert resolve(text, root).path == str(path)


@pytest.mark.parametrize("on_disk", FORMS)
@pytest.mark.parametrize("asked", FORMS)
@pytest.mark.parametrize("name", ["が/ぱん.png", "café.png", "Ångström é.png"])
def test_composed_and_decomposed_names_are_one(root: Path, write: Write, on_disk: Form, asked: Form,
                                               name: str) -> None:
    """macOS writes one form, keyboards the other."""
    path = write(unicodedata.normalize(on_disk, name))
    assert resolve(unicodedata.normalize(asked, name), root).path == str(path)


def test_a_name_under_the_second_root_is_found(root: Path, write: Write, tmp_path: Path) -> None:
    """Every root is asked."""
    empty = tmp_path / "empty"
    empty.mkdir()
    path = write("a.png")
    assert resolve("a.png", empty, root).path == str(path)


def test_a_name_under_two_roots_is_refused_with_both(root: Path, write: Write, tmp_path: Path) -> None:
    """Nobody can know which one is meant."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.png").write_bytes(b"another")
    path = write("a.png")
    assert refusal("a.png", root, other) == f"ambiguous: found as {other / 'a.png'} and as {path}"


@LINKS
def test_the_same_file_under_two_roots_is_not_ambiguous(root: Path, write: Write, tmp_path: Path) -> None:
    """One file with two names has one answer."""
    other = tmp_path / "other"
    other.mkdir()
    os.link(write("a.png"), other / "a.png")
    assert read("a.png", root, other) == b"a.png"


# ---- links -------------------------------------------------------------------------------------------------------


@LINKS
def test_a_link_to_a_file_inside_is_followed(root: Path, write: Write) -> None:
    """Its content is the target's."""
    (root / "link.png").symlink_to(write("sub/a.png"))
    assert read("link.png", root) == b"sub/a.png"


@LINKS
def test_a_link_to_a_folder_inside_is_followed(root: Path, write: Write) -> None:
    """The same for what lies in it."""
    (root / "link").symlink_to(write("sub/a.png").parent)
    assert read("link/a.png", root) == b"sub/a.png"


@LINKS
def test_a_root_that_is_a_link_is_reached_by_both_names(root: Path, write: Write, tmp_path: Path) -> None:
    """The administrator's spelling and the real one."""
    alias = tmp_path / "alias"
    alias.symlink_to(root)
    path = write("a.png")
    texts = ("a.png", str(alias / "a.png"), str(path))
    assert [read(text, alias) for text in texts] == [b"a.png"] * 3


@LINKS
def test_a_link_to_a_file_outside_is_refused(root: Path, outside: Path) -> None:
    """However it is spelled."""
    (root / "link.png").symlink_to(outside)
    assert [refusal(text, root) for text in ("link.png", str(root / "link.png"))] == [OUTSIDE] * 2


@LINKS
def test_a_link_to_a_folder_outside_is_refused(root: Path, outside: Path) -> None:
    """Also for names that are not there, so that nobody can ask what is."""
    (root / "link").symlink_to(outside.parent)
    assert [refusal(text, root) for text in ("link/secret.png", "link/absent.png")] == [OUTSIDE] * 2


@LINKS
def test_a_chain_of_links_that_ends_outside_is_refused(root: Path, outside: Path) -> None:
    """Every step is followed before the question is asked."""
    (root / "first.png").symlink_to(root / "second.png")
    (root / "second.png").symlink_to(outside)
    assert refusal("first.png", root) == OUTSIDE


@LINKS
@pytest.mark.parametrize(("target", "reason"), [("absent.png", NOT_FOUND), ("link.png", "not a regular file")])
def test_links_that_lead_nowhere_have_a_reason(root: Path, target: str, reason: str) -> None:
    """Dangling, or in a circle."""
    (root / "link.png").symlink_to(root / target)
    assert refusal("link.png", root) == reason


# ---- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "  ", "\t\n"])
def test_blank_texts_have_a_reason(root: Path, text: str) -> None:
    """They are rows without a path."""
    assert refusal(text, root) == "no path given"


@pytest.mark.parametrize("text", ["a\0.png", "\0", "/etc\0/passwd"])
def test_a_nul_is_refused(root: Path, text: str) -> None:
    """No file name has one."""
    assert refusal(text, root) == "the path has a character no file name can have"


@pytest.mark.parametrize("text", ["../outside/secret.png", "sub/../../outside/secret.png", "..", "../root2/a.png"])
def test_climbing_out_is_refused(root: Path, outside: Path, text: str) -> None:
    """By dots."""
    assert outside.exists()
    assert refusal(text, root) == OUTSIDE


def test_a_root_is_no_prefix_of_its_neighbours(root: Path, tmp_path: Path) -> None:
    """`root` allows nothing in `root2`."""
    neighbour = tmp_path / "root2" / "a.png"
    neighbour.parent.mkdir()
    neighbour.write_bytes(b"neighbour")
    assert refusal(str(neighbour), root) == OUTSIDE


@pytest.mark.parametrize("is_there", [True, False])
def test_absolute_paths_outside_are_refused_there_or_not(root: Path, outside: Path, is_there: bool) -> None:
    """The answer tells nothing about the machine."""
    text = str(outside if is_there else outside.with_name("absent.png"))
    assert refusal(text, root) == OUTSIDE


@POSIX
def test_the_disk_is_not_asked_about_a_path_outside(root: Path, outside: Path) -> None:
    """Not even whether it is there: a dead network folder would stop the request."""
    resolver = PathResolver(Roots.of([root]), 1000)
    called: list[str] = []

    def note(_frame: object, event: str, function: object) -> None:
        if event == "c_call" and getattr(function, "__name__", "") in ("stat", "lstat", "readlink", "open", "scandir"):
            called.append(getattr(function, "__name__", ""))

    sys.setprofile(note)
    try:
        with pytest.raises(PathError):
            resolver.resolve(str(outside))
    finally:
        sys.setprofile(None)
    assert called == []


SURROGATES = ["\ud800.png", "\udfff/a.png", "a/\udc80/b.png", "日本\ud83d.png", "\udcff"]


@pytest.mark.parametrize("text", SURROGATES)
def test_lone_surrogates_are_names_that_are_not_there(root: Path, text: str) -> None:
    """As a name and as a folder: a reason, never an exception of another kind."""
    assert refusal(text, root) == NOT_FOUND


@POSIX
def test_a_name_of_any_bytes_can_be_asked_for(root: Path) -> None:
    """Linux allows names that are no UTF-8; Python spells them with lone surrogates."""
    text = os.fsdecode(b"caf\xe9.png")
    (root / text).write_bytes(b"latin")
    assert read(text, root) == b"latin"


@pytest.mark.parametrize("text", ["x" * 300, "y/" * 3000 + "a.png", f"{'z' * 300}/a.png"])
def test_names_that_are_too_long_are_not_found(root: Path, text: str) -> None:
    """The system's limits are no crash."""
    assert refusal(text, root) == NOT_FOUND


def test_a_file_is_no_folder(root: Path, write: Write) -> None:
    """`a.png/b.png` does not exist."""
    write("a.png")
    assert refusal("a.png/b.png", root) == NOT_FOUND


def test_folders_empty_files_and_absent_files_have_reasons(root: Path, write: Write) -> None:
    """Each its own."""
    write("sub/a.png")
    (root / "empty.png").touch()
    reasons = [refusal(text, root) for text in ("sub", "sub/", "empty.png", "absent.png", "sub/absent/a.png")]
    folder = "this is a folder, not a picture"
    assert reasons == [folder, folder, "the file is empty", NOT_FOUND, NOT_FOUND]


def test_a_file_above_the_limit_is_refused_with_both_sizes(root: Path, write: Write) -> None:
    """The flag is named, so that the administrator can raise it."""
    write("a.png").write_bytes(bytes(2_500_000))
    reason = refusal("a.png", root, max_bytes=2_000_000)
    assert reason == "too many bytes: 2.5 MB, the limit is 2.0 (--max-image-mb)"


@POSIX
def test_pipes_and_devices_are_not_opened(root: Path) -> None:
    """Opening a pipe would wait for its writer for ever."""
    os.mkfifo(root / "pipe.png")
    assert refusal("pipe.png", root) == "not a regular file"


def test_without_roots_nothing_is_read(outside: Path) -> None:
    """The reason names the flag."""
    assert refusal(str(outside)) == "no folder is allowed: start the server with --images DIR"


# ---- reading -----------------------------------------------------------------------------------------------------


def test_a_file_that_goes_before_it_is_read_is_not_found(root: Path, write: Write) -> None:
    """A row's reason."""
    found = resolve(str(write("a.png")), root)
    Path(found.path).unlink()
    with pytest.raises(PathError, match=NOT_FOUND):
        read_file(found, max_bytes=1000)


def test_another_file_in_the_same_place_is_not_read(root: Path, write: Write) -> None:
    """What was checked is what is read."""
    found = resolve(str(write("a.png")), root)
    write("new.png").replace(found.path)
    with pytest.raises(PathError, match="exchanged"):
        read_file(found, max_bytes=1000)


@LINKS
def test_a_link_swapped_in_between_check_and_read_loses(root: Path, write: Write, outside: Path) -> None:
    """The file outside is not answered with."""
    found = resolve(str(write("a.png")), root)
    Path(found.path).unlink()
    Path(found.path).symlink_to(outside)
    with pytest.raises(PathError, match="exchanged"):
        read_file(found, max_bytes=1000)


@LINKS
def test_a_folder_swapped_for_a_link_in_between_loses(root: Path, write: Write, outside: Path) -> None:
    """The same one level up."""
    found = resolve(str(write("sub/secret.png")), root)
    (root / "sub").rename(root / "away")
    (root / "sub").symlink_to(outside.parent)
    with pytest.raises(PathError, match="exchanged"):
        read_file(found, max_bytes=1000)


@POSIX
def test_a_pipe_swapped_in_between_does_not_block(root: Path, write: Write) -> None:
    """It is opened without waiting, and refused."""
    found = resolve(str(write("a.png")), root)
    Path(found.path).unlink()
    os.mkfifo(found.path)
    with pytest.raises(PathError, match="exchanged"):
        read_file(found, max_bytes=1000)


def test_a_file_that_grows_beyond_the_limit_is_refused(root: Path, write: Write) -> None:
    """The size is asked again when it is open."""
    found = resolve(str(write("a.png")), root)
    with Path(found.path).open("ab") as file:
        file.write(bytes(2000))
    with pytest.raises(TooManyBytesError):
        read_file(found, max_bytes=1000)


def test_what_was_read_carries_the_signature_as_read(root: Path, write: Write) -> None:
    """A change between check and read belongs to the content that was read."""
    path = write("a.png")
    found = resolve("a.png", root)
    path.write_bytes(b"longer than before")
    os.utime(path, (1, 1))
    _, again = read_file(found, max_bytes=1000)
    assert (again.signature.size, again.signature.mtime_ns) == (18, 1_000_000_000)


# ---- signatures --------------------------------------------------------------------------------------------------


def test_a_file_changed_just_now_is_never_taken_as_unchanged(write: Write) -> None:
    """Coarse clocks may give two contents one time."""
    path = write("a.png")
    found = FoundFile(str(path), signature_of(path.stat()))
    assert (found.signature.mtime_ns, look_again(found)) == (RACY, False)


@pytest.mark.parametrize("change", ["nothing", "size", "time", "inode", "gone"])
def test_any_change_is_seen_by_one_look(root: Path, write: Write, change: str) -> None:
    """Size, time, another file in its place, or none."""
    path = write("a.png")
    os.utime(path, (1000, 1000))
    found = resolve("a.png", root)
    if change == "size":
        path.write_bytes(b"longer than before")
        os.utime(path, (1000, 1000))
    elif change == "time":
        os.utime(path, (1000, 1001))
    elif change == "inode":
        other = write("b.png")
        os.utime(other, (1000, 1000))
        other.replace(path)
    elif change == "gone":
        path.unlink()
    assert look_again(found) == (change == "nothing")


@pytest.mark.parametrize(("ahead_s", "is_kept"), [(1000, False), (10 * 86_400, True)])
def test_a_time_in_the_future(write: Write, ahead_s: int, is_kept: bool) -> None:
    """A clock that was set back comes to it again; a wrong clock elsewhere does not make a file change for ever."""
    path = write("a.png")
    later = int(time.time()) + ahead_s
    os.utime(path, (later, later))
    assert look_again(FoundFile(str(path), signature_of(path.stat()))) == is_kept


# ---- whatever the text -------------------------------------------------------------------------------------------

PARTS = st.sampled_from(["a.png", "sub", "out", "out.png", "loop", "secret.png", "..", ".", "", " ", "日本", "\ud800"])
TEXTS = st.one_of(
    st.text(max_size=40),
    st.text(st.characters(exclude_categories=()), max_size=10),
    st.lists(PARTS, max_size=6).map("/".join),
    st.lists(PARTS, max_size=4).map(lambda parts: "{root}/" + "/".join(parts)),
    st.lists(PARTS, max_size=4).map(lambda parts: "{root}/../outside/" + "/".join(parts)),
)


@LINKS
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS)
def test_whatever_the_text_it_leads_inside_or_has_a_reason(root: Path, outside: Path, write: Write, text: str) -> None:
    """No other exception, and no file elsewhere."""
    if not (root / "out").is_symlink():
        write("sub/a.png")
        write("a.png")
        (root / "out").symlink_to(outside.parent)
        (root / "out.png").symlink_to(outside)
        (root / "loop").symlink_to(root)
    try:
        found = resolve(text.replace("{root}", str(root)), root)
    except PathError:
        return
    assert Path(found.path).resolve().is_relative_to(root)


WATCH = """
import itertools, os, sys
from pathlib import Path
from server.path_error import PathError
from server.paths import PathResolver, Roots, read_file

root, outside = map(Path, sys.argv[1:])
opened, read = [], 0
parts = ["a.png", "sub", "out", "out.png", "loop", "secret.png", "..", ".", "pipe.png", str(root), str(outside), "/etc"]
texts = ["/".join(words) for count in (1, 2, 3) for words in itertools.product(parts, repeat=count)]
roots = Roots.of([root])
sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
for text in texts:
    try:
        read += bool(read_file(PathResolver(roots, 1000).resolve(text), max_bytes=1000))
    except PathError:
        pass
files = {os.path.realpath(path) for path in opened if isinstance(path, str)}
print(read > 0, sorted(path for path in files if not path.startswith(str(root) + "/")))
"""


@POSIX
def test_nothing_outside_the_roots_is_ever_opened(root: Path, outside: Path, write: Write) -> None:
    """Python's own audit of every open, over all combinations of names, links, dots and absolute paths."""
    write("sub/a.png")
    write("a.png")
    (root / "out").symlink_to(outside.parent)
    (root / "out.png").symlink_to(outside)
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe.png")
    done = subprocess.run([sys.executable, "-c", WATCH, root, outside.parent], cwd=ROOT, capture_output=True,
                          text=True, check=True)
    assert done.stdout == "True []\n"
