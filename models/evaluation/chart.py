"""SVG by hand: a plane with axes on which lines, dots, bars and bands are drawn, as text that is the same every time.

Colours are classes of the page's style sheet, so that a chart follows light, dark and print. `title` elements are what
a pointer shows.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

Pairs = Sequence[tuple[float, float]]

_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 26.0, 12.0, 44.0


@dataclass(slots=True)
class Plane:
    """A chart under way; `x` and `y` are the ranges of its axes, logarithmic where said. Drawing adds to `parts`."""

    title: str
    x: tuple[float, float]
    y: tuple[float, float]
    width: float = 460.0
    height: float = 320.0
    is_log: bool = False
    parts: list[str] = field(default_factory=list)

    def across(self, value: float) -> float:
        """The place in the drawing of a value of x."""
        return _LEFT + self._share(value, self.x) * (self.width - _LEFT - _RIGHT)

    def down(self, value: float) -> float:
        """The place in the drawing of a value of y."""
        return self.height - _BOTTOM - self._share(value, self.y) * (self.height - _TOP - _BOTTOM)

    def axes(self, x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[tuple[float, str]], *, x_name: str,
             y_name: str) -> None:
        """Grid lines with their numbers, and what the axes mean."""
        left, right, low, high = _LEFT, self.width - _RIGHT, self.height - _BOTTOM, _TOP
        for value, text in y_ticks:
            at = self.down(value)
            self.parts += [_line("grid", left, at, right, at), _text("tick end", left - 7, at + 4, text)]
        for value, text in x_ticks:
            at = self.across(value)
            self.parts += [_line("grid", at, high, at, low), _text("tick mid", at, low + 16, text)]
        self.parts.append(_text("axis mid", (left + right) / 2, self.height - 8, x_name))
        middle = (low + high) / 2
        self.parts.append(f'<text class="axis mid" transform="translate(13 {_n(middle)}) rotate(-90)">'
                          f'{escape(y_name)}</text>')

    def line(self, points: Pairs, style: str) -> None:
        """A line through the points."""
        places = " ".join(f"{_n(self.across(x))},{_n(self.down(y))}" for x, y in points)
        self.parts.append(f'<polyline class="{style}" points="{places}"/>')

    def band(self, low: Pairs, high: Pairs, style: str) -> None:
        """The area between two lines over the same x."""
        places = " ".join(f"{_n(self.across(x))},{_n(self.down(y))}" for x, y in [*low, *reversed(high)])
        self.parts.append(f'<polygon class="{style}" points="{places}"/>')

    def dot(self, x: float, y: float, style: str, said: str, radius: float = 4.0) -> None:
        """A dot that says something to a pointer."""
        self.parts.append(f'<circle class="{style}" cx="{_n(self.across(x))}" cy="{_n(self.down(y))}" r="{_n(radius)}">'
                          f'<title>{escape(said)}</title></circle>')

    def whisker(self, x: float, low: float, high: float, style: str) -> None:
        """An interval of y at one x."""
        at = self.across(x)
        self.parts.append(_line(style, at, self.down(low), at, self.down(high)))

    def bar(self, x: tuple[float, float], y: tuple[float, float], style: str, said: str) -> None:
        """A rectangle between two values on each axis."""
        left, right, top, low = self.across(x[0]), self.across(x[1]), self.down(y[1]), self.down(y[0])
        self.parts.append(f'<rect class="{style}" x="{_n(left)}" y="{_n(top)}" width="{_n(max(right - left, 0))}"'
                          f' height="{_n(max(low - top, 0))}"><title>{escape(said)}</title></rect>')

    def note(self, x: float, y: float, text: str, style: str, *, move: tuple[float, float] = (0.0, 0.0)) -> None:
        """Words at a place, moved by so many pixels."""
        self.parts.append(_text(style, self.across(x) + move[0], self.down(y) + move[1], text))

    def svg(self) -> str:
        """The drawing."""
        return drawing(self.title, self.width, self.height, self.parts)

    def _share(self, value: float, over: tuple[float, float]) -> float:
        low, high = over
        if self.is_log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, 1e-12))
        return (value - low) / (high - low)


def drawing(title: str, width: float, height: float, parts: Sequence[str], style: str = "chart") -> str:
    """An `svg` element that scales with the page and has a name for those who do not see it."""
    return (f'<svg class="{style}" viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" role="img"'
            f' aria-label="{escape(title)}">' + "".join(parts) + "</svg>")


def interval(value: float | None, low: float, high: float, start: float = 0.0) -> str:
    """A dot in its interval on a line from `start` to 1, for a row of a table."""
    if value is None:
        return ""
    width, height = 120.0, 14.0
    inner, middle = (width - 8) / (1 - start), height / 2
    left, dot, right = (4 + max(0.0, place - start) * inner for place in (low, value, high))
    parts = [_line("grid", 4, middle, width - 4, middle), _line("whisker", left, middle, right, middle),
             f'<circle class="dot" cx="{_n(dot)}" cy="{_n(middle)}" r="3.5"/>']
    return drawing(f"{value:.1%}, {low:.1%} to {high:.1%}", width, height, parts, "small")


def percents(low: float, high: float, steps: int = 5) -> list[tuple[float, str]]:
    """Ticks at round per cents from `low` to `high`, about `steps` of them."""
    rough = max((high - low) / steps, 1e-4)
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    digits = max(0, -math.floor(math.log10(step * 100) + 1e-9))
    last = math.floor(high / step + 1e-9)
    return [(number * step, f"{number * step:.{digits}%}") for number in range(first, last + 1)]


def counts(low: float, high: float, most: int = 6) -> list[tuple[float, str]]:
    """Ticks at 1, 2 and 5 times powers of ten inside the range, for a logarithmic axis."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = [factor * 10.0**power for power in powers for factor in (1, 2, 5) if low <= factor * 10.0**power <= high]
    kept = every if len(every) <= most else [value for value in every if str(int(value))[0] == "1"]
    return [(value, f"{value:,.0f}") for value in kept]


def shortened(text: str, most: int) -> str:
    """`text` in at most `most` columns; Chinese and Japanese characters take two."""
    if sum(map(_columns, text)) <= most:
        return text
    kept, used = "", 1
    for character in text:
        used += _columns(character)
        if used > most:
            break
        kept += character
    return kept + "…"


def columns(text: str) -> int:
    """How many columns a text takes."""
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _line(style: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{style}" x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"/>'


def _text(style: str, x: float, y: float, text: str) -> str:
    return f'<text class="{style}" x="{_n(x)}" y="{_n(y)}">{escape(text)}</text>'


def _n(value: float) -> str:
    """A coordinate: a tenth of a pixel is enough."""
    return f"{value:.1f}".removesuffix(".0")
