"""What the texts of analysts mean: mappings, `file:` URLs, slashes, Windows names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from server.errors import SettingsError
from server.path_error import PathError
from server.path_text import PathTexts
from server.paths import PathResolver, Roots
from server.settings import Settings

POSIX = pytest.mark.skipif(os.name != "posix", reason="the folders are written as Linux and macOS have them")
MAPS = (r"\\nas\photos=/mnt/photos", r"\\NAS\photos\2024 new=/mnt/new", "P:=/mnt/photos", r"Q:\Shared\Bilder=/mnt/new",
        "https://img.corp/pictures=/mnt/photos", "/Volumes/photos=/mnt/photos", "s3://bucket/a=/mnt/new")
DEVICE = "this is the name of a Windows device"
STREAM = "the path names a stream inside a file, or a drive where there is none"


def meanings(text: str, *maps: str, is_windows: bool = False) -> tuple[str, ...]:
    """What `text` means with `maps`."""
    return PathTexts.of(maps or MAPS, is_windows=is_windows).meanings(text)


def refusal(text: str, *maps: str, is_windows: bool = False) -> str:
    """Why `text` is refused."""
    with pytest.raises(PathError) as caught:
        meanings(text, *maps, is_windows=is_windows)
    return str(caught.value)


# ---- mappings ----------------------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize(("text", "path"), [
    (r"\\nas\photos\a.png", "/mnt/photos/a.png"),
    ("//nas/photos/a.png", "/mnt/photos/a.png"),
    (r"\\nas/photos\sub/a b.png", "/mnt/photos/sub/a b.png"),
    (r"\\NAS\Photos\A.png", "/mnt/photos/A.png"),
    (r"\\nas\photos", "/mnt/photos"),
    (r"\\nas\photos\\sub\.\a.png", "/mnt/photos/sub/a.png"),
    (r"\\nas\photos\sub\..\a.png", "/mnt/photos/a.png"),
    (r"\\nas\photos\..\..\a.png", "/mnt/photos/a.png"),  # nothing is above a share
    (r"\\nas\photos\2024 new\a.png", "/mnt/new/a.png"),
    (r"\\nas\photos\2024 NEW\sub\a.png", "/mnt/new/sub/a.png"),
    (r"\\nas\photos\2024 newer\a.png", "/mnt/photos/2024 newer/a.png"),
    (r"P:\a.png", "/mnt/photos/a.png"),
    ("p:/sub/a.png", "/mnt/photos/sub/a.png"),
    (r"q:\shared\BILDER\é.png", "/mnt/new/é.png"),
    ("https://img.corp/pictures/a%20b.png", "/mnt/photos/a b.png"),
    ("HTTPS://IMG.corp:443/pictures/sub/../%C3%A9.png", "/mnt/photos/é.png"),
    ("https://img.corp./pictures/a.png#part", "/mnt/photos/a.png"),
    ("s3://bucket/a/b.png", "/mnt/new/b.png"),
    ("/Volumes/photos/a.png", "/mnt/photos/a.png"),
    ("file:///Volumes/photos/a%20b.png", "/mnt/photos/a b.png"),
    ("file://nas/photos/a.png", "/mnt/photos/a.png"),
    ("file:////nas/photos/a.png", "/mnt/photos/a.png"),
    ("file:///P:/sub/a%20b.png", "/mnt/photos/sub/a b.png"),
    (r"file:\\nas\photos\a.png", "/mnt/photos/a.png")])
def test_a_text_below_a_mapping_is_a_file_here(text: str, path: str) -> None:
    """The longest prefix of whole segments wins; names of Windows in any case and with any slash."""
    assert meanings(text) == (path,)


@POSIX
@pytest.mark.parametrize("text", [
    r"\\nas\photos2\a.png", r"\\nas2\photos\a.png", r"R:\a.png", r"C:\Windows\a.png",
    r"Q:\Shared\a.png", "//nas/other/a.png", "file://other/photos/a.png", "file:///C:/a.png"])
def test_a_windows_path_that_no_mapping_names_says_so(text: str) -> None:
    """So the administrator knows what is missing."""
    assert refusal(text) == "this is a Windows or network path that no --map names"


@pytest.mark.parametrize("text", [
    "https://img.corp/pictures2/a.png", "https://img.corp:8443/pictures/a.png", "http://img.corp/pictures/a.png",
    "https://img.corp.evil.org/pictures/a.png", "https://img.corp/Pictures/a.png", "s3://bucket2/a/b.png",
    "https://img.corp/pictures/a.png?size=2", "https://img.corp/pictures/../a.png"])
def test_a_url_beside_the_mapped_folder_is_not_mapped(text: str) -> None:
    """By parsed parts; a URL with a query is many pictures under one name."""
    assert refusal(text) == "this is a URL that no --map names"


@POSIX
def test_a_mapped_path_elsewhere_keeps_its_case() -> None:
    """Only Windows names are the same in any case."""
    assert meanings("/volumes/photos/a.png") == ("/volumes/photos/a.png",)


@POSIX
def test_composed_and_decomposed_prefixes_are_one() -> None:
    """macOS and Windows spell them differently."""
    assert meanings("\\\\nas\\Cafe\u0301\\a.png", "\\\\nas\\caf\u00e9=/mnt/cafe") == ("/mnt/cafe/a.png",)


@POSIX
def test_other_texts_mean_themselves() -> None:
    """A mapping changes nothing for them; on this system a backslash may be part of a name."""
    texts = ["a.png", "sub/a.png", "/data/a.png", "12:30.png", "NUL.png", "100%25.png", "file.png", "file:a.png"]
    assert [meanings(text) for text in texts] == [(text,) for text in texts]


@POSIX
def test_a_relative_path_may_have_either_slash() -> None:
    """Both spellings are looked up."""
    assert meanings(r"sub\a.png") == (r"sub\a.png", "sub/a.png")


@POSIX
def test_a_mapping_to_a_place_outside_the_roots_reads_nothing(tmp_path: Path) -> None:
    """A mapping opens no door of its own, whoever made it."""
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for folder in (root, elsewhere):
        folder.mkdir()
        (folder / "a.png").write_bytes(b"content")
    texts = PathTexts.of([f"P:={elsewhere}", f"Q:={root}"])
    resolver = PathResolver(Roots.of([root]), 1000, texts)
    with pytest.raises(PathError, match="outside the allowed folders"):
        resolver.resolve(r"P:\a.png")
    assert resolver.resolve(r"Q:\a.png").path == str(root / "a.png")


@POSIX
def test_a_mapped_name_is_found_in_either_unicode_form(tmp_path: Path) -> None:
    """A percent-encoded decomposed name, a composed file."""
    (tmp_path / "\u00e9.png").write_bytes(b"content")
    resolver = PathResolver(Roots.of([tmp_path]), 1000, PathTexts.of([f"https://img.corp/p={tmp_path}"]))
    assert resolver.resolve("https://img.corp/p/e%CC%81.png").path == str(tmp_path / "\u00e9.png")


# ---- mappings that are refused at the start ----------------------------------------------------------------------

EXPECTED = r"expected FROM=TO, where FROM is \\server\share, a drive (P:), a URL of a folder or an absolute path."


@pytest.mark.parametrize("text", ["", "=", "=/mnt", "P:=", "P:", "photos=/mnt", r"sub\photos=/mnt", "https://a/?x=/mnt"])
def test_a_mapping_that_cannot_be_read_stops_the_start(text: str) -> None:
    """What is expected stands in the message."""
    with pytest.raises(SettingsError) as caught:
        PathTexts.of([text])
    assert str(caught.value) == f"--map {text}: {EXPECTED}"


def test_a_mapping_from_a_bad_url_says_what_is_wrong() -> None:
    """The URL's own reason, then what is expected."""
    with pytest.raises(SettingsError, match="the URL has a user name"):
        PathTexts.of(["https://user@img.corp/photos=/mnt"])


def test_a_prefix_is_mapped_once() -> None:
    """Also when it is spelled differently."""
    with pytest.raises(SettingsError, match="is mapped already; name it once"):
        PathTexts.of([r"\\nas\photos=/a", "//NAS/Photos/=/b"])


def test_a_mapping_into_no_image_folder_stops_the_start(tmp_path: Path) -> None:
    """The administrator hears it, not the analyst."""
    settings = Settings(images=(tmp_path,), map=(f"P:={tmp_path.parent}",))
    with pytest.raises(SettingsError, match="it is in none of the --images folders"):
        settings.with_checked_folders()


def test_a_mapping_into_an_image_folder_passes(tmp_path: Path) -> None:
    """The folder itself, or one below."""
    settings = Settings(images=(tmp_path,), map=(f"P:={tmp_path}", f"Q:={tmp_path / 'sub'}"))
    assert settings.with_checked_folders() is settings


# ---- file URLs ---------------------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize(("text", "path"), [
    ("file:///data/a.png", "/data/a.png"), ("file:/data/a.png", "/data/a.png"), ("FILE:///data/a.png", "/data/a.png"),
    ("file://localhost/data/a.png", "/data/a.png"), ("file:///data/a%20b%23%3F.png", "/data/a b#?.png"),
    ("file:///data/%E6%97%A5.png", "/data/日.png"), ("file:///data/100%25.png", "/data/100%.png"),
    ("file:///data/%2520.png", "/data/%20.png"), ("file:///data/caf%E9.png", os.fsdecode(b"/data/caf\xe9.png"))])
def test_a_file_url_is_decoded_once(text: str, path: str) -> None:
    """UTF-8, and bytes that are none."""
    assert meanings(text) == (path,)


@pytest.mark.parametrize(("text", "reason"), [
    ("file:///data/a.png?x=1", "the file URL has a ? or a #: write %3F or %23"),
    ("file:///data/a#b.png", "the file URL has a ? or a #: write %3F or %23"),
    ("file:///data/..%2F..%2Fetc/passwd", "the file URL has an encoded slash"),
    ("file:///data/..%5c..%5cetc", "the file URL has an encoded slash"),
    ("file:///data/a.png%00.txt", "the file URL has an encoded slash"),
    ("file://./data/a.png", "this is a Windows device path: write a drive or a server"),
    ("file://%3F/C:/a.png", "this is a Windows device path: write a drive or a server")])
def test_a_file_url_that_says_two_things_is_refused(text: str, reason: str) -> None:
    """Rather than read in one of two ways."""
    assert refusal(text) == reason


# ---- Windows names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["CON", "nul", "NUL.png", "Aux.tar.png", "prn.", "COM1", "com9.png", "LPT1.png",
                                  "COM².png", "CONIN$", "nul .png", "NUL:", "com1:x"])
@pytest.mark.parametrize("folder", ["", "sub\\", "C:\\photos\\", "\\\\nas\\photos\\", "/data/", "file:///C:/photos/"])
def test_windows_devices_are_refused(folder: str, name: str) -> None:
    """In any folder, case, and with any extension: Windows would open the device."""
    assert refusal(folder + name, "P:=/mnt", is_windows=True) == DEVICE


@pytest.mark.parametrize("text", ["a.png:stream", "a.png::$DATA", r"sub:x\a.png", "C:a.png", r"C:\photos\a.png:hidden",
                                  r"\\nas\photos\a.png:s", "C:/photos/D:/a.png"])
def test_streams_are_refused_on_windows(text: str) -> None:
    """They are no files."""
    assert refusal(text, "P:=/mnt", is_windows=True) == STREAM


@POSIX
@pytest.mark.parametrize("text", [r"P:\a.png:stream", r"\\nas\photos\a.png::$DATA", r"P:\sub\NUL.png", "p:/con"])
def test_they_are_refused_in_windows_paths_anywhere(text: str) -> None:
    """A share that is mounted here may know them."""
    assert refusal(text) in (STREAM, DEVICE)


@pytest.mark.parametrize("text", [r"\\.\PhysicalDrive0", r"\\?\C:\photos\a.png", r"\\?\UNC\nas\photos\a.png",
                                  "//./pipe/x", r"\\.\C:\a.png"])
@pytest.mark.parametrize("is_windows", [True, False])
def test_device_paths_are_refused(text: str, is_windows: bool) -> None:
    """On every system."""
    assert refusal(text, is_windows=is_windows) == "this is a Windows device path: write a drive or a server"


@pytest.mark.parametrize("text", [r"C:\photos\a.png", r"\\nas\share\a.png", "sub/a.png", "console.png", "com10.png"])
def test_ordinary_windows_paths_pass_on_windows(text: str) -> None:
    """They need no mapping there."""
    assert meanings(text, "P:=/mnt", is_windows=True)[0] == text


# ---- devices of this system --------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("text", [
    "/proc/self/environ", "/proc/kcore", "/sys/kernel/vmcoreinfo", "/dev/zero", "dev/null", "/dev/stdin",
    "proc/self/fd/0", "/proc/self/root/etc/hostname", "/./proc/../proc/1/maps"])
def test_the_kernel_s_files_are_no_pictures(text: str) -> None:
    """Not even where the administrator allows everything."""
    with pytest.raises(PathError, match="outside the allowed folders"):
        PathResolver(Roots.of([Path("/")]), 1000).resolve(text)


@POSIX
def test_a_root_in_the_kernel_s_folders_may_be_named(tmp_path: Path) -> None:
    """Memory disks are there: /dev/shm."""
    roots = Roots(("/dev/shm/photos",), ("/dev/shm/photos",))  # noqa: S108 - a text, no file
    places = ["/dev/shm/photos/a.png", "/dev/shm/other/a.png", str(tmp_path)]  # noqa: S108 - the same
    assert [roots.contains(path) for path in places] == [True, False, False]
