"""SVG as text that is the same every time: shapes and words, with coordinates to a tenth of a pixel."""

from __future__ import annotations

import unicodedata
from html import escape

INK, MUTED, LINE, GRID = "#1b1f24", "#5b6470", "#d5d9df", "#eceef1"
_FONT = 'system-ui, "Segoe UI", "Helvetica Neue", "Noto Sans", "Noto Sans CJK JP", sans-serif'


def text(x: float, y: float, said: str, *, size: float = 10, color: str = MUTED, anchor: str = "start",
         weight: str = "") -> str:
    """Words that begin, stand in the middle, or end at a place."""
    more = (f' text-anchor="{anchor}"' if anchor != "start" else "") + (f' font-weight="{weight}"' if weight else "")
    return f'<text x="{n(x)}" y="{n(y)}" font-size="{n(size)}" fill="{color}"{more}>{escape(said, quote=False)}</text>'


def rect(x: float, y: float, width: float, height: float, fill: str, stroke: str = "", radius: float = 0) -> str:
    """A rectangle."""
    more = (f' stroke="{stroke}"' if stroke else "") + (f' rx="{n(radius)}"' if radius else "")
    return (f'<rect x="{n(x)}" y="{n(y)}" width="{n(max(width, 0))}" height="{n(max(height, 0))}" fill="{fill}"'
            f'{more}/>')


def line(x1: float, y1: float, x2: float, y2: float, stroke: str = GRID) -> str:
    """A thin line."""
    return f'<line x1="{n(x1)}" y1="{n(y1)}" x2="{n(x2)}" y2="{n(y2)}" stroke="{stroke}"/>'


def circle(x: float, y: float, radius: float, fill: str, *, opacity: float = 1, stroke: str = "") -> str:
    """A dot."""
    more = (f' fill-opacity="{opacity:g}"' if opacity < 1 else "") + (f' stroke="{stroke}"' if stroke else "")
    return f'<circle cx="{n(x)}" cy="{n(y)}" r="{n(radius)}" fill="{fill}"{more}/>'


def polyline(points: list[tuple[float, float]], stroke: str, width: float = 2) -> str:
    """A line through points."""
    places = " ".join(f"{n(x)},{n(y)}" for x, y in points)
    return f'<polyline points="{places}" fill="none" stroke="{stroke}" stroke-width="{n(width)}"/>'


def document(width: int, height: int, said: str, parts: list[str]) -> str:
    """The whole drawing, with a name for those who do not see it."""
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
            f" role=\"img\" aria-label=\"{escape(said)}\" font-family='{_FONT}'>\n" + "\n".join(parts) + "\n</svg>\n")


def fitted(said: str, width: float, size: float = 10) -> str:
    """The words cut so that they need at most `width` pixels, as far as that can be told without a font."""
    most = max(1, int(width / (size * 0.56)))
    if sum(map(_cells, said)) <= most:
        return said
    kept, used = "", 1
    for character in said:
        used += _cells(character)
        if used > most:
            break
        kept += character
    return kept + "…"


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def n(value: float) -> str:
    """A coordinate."""
    return f"{value:.1f}".removesuffix(".0")
