"""Reading single values out of parsed JSON, each with an error that says the key, what it is and what was expected."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

from models.errors import SpecError

Choice = TypeVar("Choice", int, str)

_SHOWN_CHARACTERS = 60  # of a wrong value, so that an error stays a line


@dataclass(frozen=True, slots=True)
class Fields:
    """The content of a JSON file; keys are dotted: `input.size`."""

    content: Any
    file: str = "model.json"

    def value(self, key: str) -> Any:
        """What stands at `key`; raises `SpecError` when nothing does."""
        found = self.content
        for part in key.split("."):
            if not isinstance(found, dict) or part not in found:
                raise SpecError(f"{self.file}: {key} is missing.")
            found = found[part]
        return found

    def text(self, key: str) -> str:
        """Text that is not blank, without control characters."""
        value = self.value(key)
        if not is_plain_text(value):
            raise self.refusal(key, value, "text")
        return str(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of such texts."""
        values = self.value(key)
        if not isinstance(values, list):
            raise self.refusal(key, values, "a list of texts")
        for index, value in enumerate(values):
            if not is_plain_text(value):
                raise self.refusal(f"{key}[{index}]", value, "text")
        return tuple(values)

    def whole(self, key: str, *, low: int | None = None, high: int | None = None) -> int:
        """A whole number within the limits, both included."""
        value = self.value(key)
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or (low is not None and value < low) or (high is not None and value > high):
            limits = "" if low is None else f" from {low} to {high}"
            raise self.refusal(key, value, f"a whole number{limits}")
        return int(value)

    def number(self, key: str, *, positive: bool = False, nonzero: bool = False) -> float:
        """A finite number."""
        value = self.value(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or (positive and value <= 0) or (nonzero and value == 0):
            wish = "a number above 0" if positive else "a number other than 0" if nonzero else "a number"
            raise self.refusal(key, value, wish)
        return float(value)

    def one_of(self, key: str, choices: tuple[Choice, ...]) -> Choice:
        """One of `choices`, of the same type."""
        value = self.value(key)
        for choice in choices:
            if type(value) is type(choice) and value == choice:
                return choice
        raise self.refusal(key, value, " or ".join(map(str, choices)))

    def mapping(self, key: str) -> dict[str, Any]:
        """A JSON object."""
        value = self.value(key)
        if not isinstance(value, dict):
            raise self.refusal(key, value, "an object")
        return value

    def refusal(self, key: str, value: object, wish: str) -> SpecError:
        """The error for a value that is not what was expected."""
        shown = repr(value)
        if len(shown) > _SHOWN_CHARACTERS:
            shown = shown[:_SHOWN_CHARACTERS] + "..."
        return SpecError(f"{self.file}: {key} is {shown}; expected {wish}.")


def is_plain_text(value: object) -> bool:
    """Not blank, no control characters, and no lone surrogates, which UTF-8 cannot carry to Tableau."""
    return isinstance(value, str) and bool(value.strip()) and not any(map(_is_unwritable, value))


def _is_unwritable(character: str) -> bool:
    return ord(character) < 32 or 127 <= ord(character) < 160 or 0xD800 <= ord(character) <= 0xDFFF
