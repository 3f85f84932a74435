"""`--labels` in every form in which people keep them."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import ModelError
from models.importing.labels import read_labels


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("cat\ndog\n", ("cat", "dog")),
        ("\ufeff0 猫\r\n1 柴犬 (子犬)\r\n\r\n\r\n", ("猫", "柴犬 (子犬)")),
        ("0\n1\n2\n", ("0", "1", "2")),
        ("2 wheels\n4 wheels\n", ("2 wheels", "4 wheels")),
        ('["cat", "dog"]', ("cat", "dog")),
        ('{"1": "dog", "0": "cat"}', ("cat", "dog")),
        ('{"dog": 1, "cat": 0}', ("cat", "dog")),
        ('{"tfjsVersion": "1.3.1", "labels": ["Class 1", "Class 2"], "imageSize": 224}', ("Class 1", "Class 2")),
        ("[draft]\nfinal\n", ("[draft]", "final")),
    ],
)
def test_a_file_of_labels_is_understood(tmp_path: Path, content: str, expected: tuple[str, ...]) -> None:
    """Lines, numbered lines, JSON either way round, Teachable Machine's two files; Japanese, BOM, CRLF, blank ends."""
    path = tmp_path / "ラベル 1.txt"
    path.write_bytes(content.encode())
    assert read_labels(str(path)) == expected


def test_labels_may_stand_on_the_command_line() -> None:
    """With blanks around them, and however many."""
    assert read_labels("猫, 犬 ,bird") == ("猫", "犬", "bird")
    assert len(read_labels(",".join(f"class {number}" for number in range(2000)))) == 2000


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("l.txt", b"cat\n\ndog\n", "label 2 is ''"),
        ("l.txt", b"cat\ncat\n", "label 2 is 'cat'; expected text, and each label once"),
        ("l.txt", b"cat\n", "has 1 labels; expected at least 2"),
        ("l.txt", b"", "has 0 labels"),
        ("l.txt", b"\x93\x4b\n\x8c\xa2\n", "cannot be read as UTF-8"),
        ("l.json", b"[1, 2]", "label 1 is ''"),
        ("l.json", b'{"cat": 0, "dog": 2}', "numbers the 2 classes from 0"),
        ("l.json", b'{"0": "cat"', "is not JSON"),
    ],
)
def test_what_cannot_be_labels_is_refused(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    """One sentence that says where."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match="--labels") as caught:
        read_labels(str(tmp_path / name))
    assert sentence in str(caught.value)


def test_a_missing_file_is_not_taken_for_a_label() -> None:
    """A single word is a file that is not there."""
    with pytest.raises(ModelError, match="there is no such file"):
        read_labels("labels.txt")
