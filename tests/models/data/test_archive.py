"""`.zip` files: read in place, names of every system, and what an archive may not do."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest
from training_pictures import png, shared

from models.data.loading import load
from models.data.splitting import split
from models.errors import DataError


def _zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_class_folders_in_an_archive(tmp_path: Path) -> None:
    """With a folder around them, an official split, and what macOS adds."""
    path = _zip(tmp_path / "写真 1.zip", {
        **{f"set/train/{label}/{index}.png": png(index + 10 * (label == "犬"), width=32, height=32)
           for label in ("猫", "犬") for index in range(3)},
        "set/test/猫/9.png": png(30), "set/test/犬/9.png": png(31), "__MACOSX/set/train/猫/._0.png": b"x",
        "set/.DS_Store": b"x", "set/train/猫/bad.png": b"x",
    })
    data = load(str(path), size=32)
    assert data.labels == ("犬", "猫")
    assert split(data, seed=0).test.tolist() == [row for row, name in enumerate(data.names) if "/test/" in name]
    assert [problem.name for problem in data.problems] == ["set/train/猫/bad.png"]
    assert data.png(0).startswith(b"\x89PNG")


def test_names_from_windows_in_japan(tmp_path: Path) -> None:
    """Code page 932 without a mark, as Explorer writes it, and backslashes."""
    path = _zip(tmp_path / "a.zip", {f"{label}/{i}.png": png(i + 5 * (label == "KK")) for label in ("KK", "CC")
                                     for i in range(2)})
    raw = path.read_bytes().replace(b"KK/", "犬".encode("cp932") + b"\\").replace(b"CC/", "猫".encode("cp932") + b"\\")
    path.write_bytes(raw)
    assert load(str(path)).labels == ("犬", "猫")


def test_a_password_is_said(tmp_path: Path) -> None:
    """Nothing is asked for: the remedy is to unpack it."""
    path = _zip(tmp_path / "a.zip", {"a/1.png": png(1), "b/1.png": png(2)})
    raw = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = 0
        while (start := raw.find(signature, start)) >= 0:
            struct.pack_into("<H", raw, start + offset, 1)
            start += 4
    path.write_bytes(bytes(raw))
    with pytest.raises(DataError, match="is protected by a password; unpack it"):
        load(str(path))


def test_members_that_cannot_be_had_cost_their_row(tmp_path: Path) -> None:
    """A wrong checksum, and a picture that claims to be huge."""
    files = {f"{label}/{i}.png": png(i + 5 * (label == "b")) for label in "ab" for i in range(3)}
    path = _zip(tmp_path / "a.zip", {**files, "b/bomb.png": b"\0" * 65_000_000})
    raw = path.read_bytes()
    broken = files["a/1.png"][60:80]
    path.write_bytes(raw.replace(broken, bytes(20)))
    problems = {problem.name: problem.text for problem in load(str(path)).problems}
    assert problems["b/bomb.png"] == "the file is larger than 64 MB"
    assert problems["a/1.png"].startswith("the archive does not give it (Bad CRC-32")
    assert len(problems) == 2


@pytest.mark.parametrize("data", [b"", b"text", b"PK\x03\x04 cut"])
def test_what_is_no_archive_is_one_sentence(tmp_path: Path, data: bytes) -> None:
    """Not a traceback."""
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.zip: cannot be read as \.zip"):
        load(str(tmp_path / "a.zip"))


def test_cifar_as_an_archive_has_its_official_split(tmp_path: Path) -> None:
    """A part of the real archive: 32 x 32 RGB, train and test."""
    with zipfile.ZipFile(shared("cifar10-jpeg.zip")) as whole:
        names = [name for name in whole.namelist() if name.endswith(("/0000.jpg", "/0001.jpg", "/0002.jpg"))]
        path = _zip(tmp_path / "part.zip", {name: whole.read(name) for name in names})
    data = load(str(path))
    assert data.pixels.shape == (60, 32, 32, 3)
    assert (len(data.labels), len(split(data, seed=0).test)) == (10, 30)
