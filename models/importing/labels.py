"""`--labels`: the class names as people keep them, in the order of the network's outputs.

Text enters: `a,b,c`, or a file with one label a line, with lines `0 Name` (Teachable Machine), a JSON list, a JSON map
either way round, or an object with `labels` (Teachable Machine's metadata.json). A tuple leaves.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from models.errors import ModelError

_MAX_BYTES = 10_000_000  # ImageNet-21k's names have 0.5 MB
_NUMBERED = re.compile(r"(\d+)[ \t:,;]+(\S.*)")


def read_labels(text: str) -> tuple[str, ...]:
    """The labels that `text` names or has.

    Raises:
        ModelError: no such file, not UTF-8, or nothing that numbers classes; each label once, at least 2.
    """
    path = Path(text)
    if _is_file(path):
        return _checked(_labels_in(_content(path), path), str(path))
    if "," not in text:
        raise ModelError(f"--labels {text}: there is no such file; expected a file or labels as a,b,c.")
    return _checked([label.strip() for label in text.split(",")], text)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a list of labels may be longer than a file name can be
        return False


def _content(path: Path) -> str:
    try:
        data = path.read_bytes()
        if len(data) > _MAX_BYTES:
            raise ModelError(f"--labels {path}: has {len(data):,} bytes; the limit is {_MAX_BYTES:,}.")
        return data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise ModelError(f"--labels {path}: cannot be read as UTF-8 ({exc}).") from exc


def _labels_in(text: str, path: Path) -> list[str]:
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return _labels_of(json.loads(text), path)
        except (ValueError, RecursionError) as exc:
            if path.suffix.lower() == ".json":
                raise ModelError(f"--labels {path}: is not JSON ({exc}).") from exc
    lines = [line.strip() for line in text.rstrip().splitlines()]
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    if lines and [int(match[1]) if match else -1 for match in numbered] == list(range(len(lines))):
        return [match[2].strip() for match in numbered if match]
    return lines


def _labels_of(content: Any, path: Path) -> list[str]:
    """A list, a map from number to label or from label to number, or an object with such a thing in `labels`."""
    if isinstance(content, dict) and isinstance(content.get("labels"), list | dict):
        content = content["labels"]
    if isinstance(content, list):
        return [entry if isinstance(entry, str) else "" for entry in content]
    if all(isinstance(value, int) and not isinstance(value, bool) for value in content.values()):
        pairs = {value: key for key, value in content.items()}
    else:
        pairs = {int(key): value for key, value in content.items() if key.isdecimal() and isinstance(value, str)}
    if sorted(pairs) != list(range(len(content))):
        raise ModelError(
            f'--labels {path}: expected a list, or a map such as {{"0": "cat"}} or {{"cat": 0}} that numbers the '
            f"{len(content)} classes from 0."
        )
    return [pairs[number] for number in range(len(pairs))]


def _checked(labels: list[str], where: str) -> tuple[str, ...]:
    for number, label in enumerate(labels, 1):
        if not label.strip() or label in labels[: number - 1]:
            raise ModelError(f"--labels {where}: label {number} is {label!r}; expected text, and each label once.")
    if len(labels) < 2:
        raise ModelError(f"--labels {where}: has {len(labels)} labels; expected at least 2.")
    return tuple(labels)
