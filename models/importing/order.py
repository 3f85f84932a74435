"""What is to be imported, and what came of it: the two messages between the command line and its child process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

_PATHS = ("file", "root", "check")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One import. `labels` is empty where the folders of `check` name them; `scale` names a row of the scalings."""

    file: Path
    name: str
    root: Path
    labels: tuple[str, ...] = ()
    scale: str | None = None
    size: int | None = None
    check: Path | None = None
    is_trusted: bool = False

    def to_json(self) -> str:
        """The order as one line."""
        content = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str) -> Order:
        """The order of such a line."""
        content = json.loads(text)
        paths = {key: Path(content[key]) for key in _PATHS if content[key] is not None}
        return cls(**{**content, **paths, "labels": tuple(content["labels"])})


@dataclass(frozen=True, slots=True)
class Report:
    """What the user is to read: `lines` in this order, `warnings` beside them."""

    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def to_content(self) -> dict[str, list[str]]:
        """For JSON."""
        return {one.name: getattr(self, one.name) for one in fields(self)}
