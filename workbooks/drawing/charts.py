"""How each kind of sheet is drawn inside its box: table, number, scatter, bars, matrix, lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from workbooks.authoring.fields import Pill
from workbooks.authoring.sheet import MARK, Sheet
from workbooks.content.columns import COLOURS, natural
from workbooks.drawing.svg import GRID, INK, LINE, MUTED, circle, fitted, line, n, polyline, rect, text
from workbooks.drawing.view import Mark, number, shown

_ROW, _SQUEEZED = 19.0, 13.0  # a row of a list in pixels, and of a sheet that is fitted into its zone
_BAR = 84.0  # the least a column of bars needs


class Box(NamedTuple):
    """A place in pixels."""

    x: float
    y: float
    width: float
    height: float

    def inside(self, left: float = 0, top: float = 0, right: float = 0, bottom: float = 0) -> Box:
        """The box without its margins."""
        return Box(self.x + left, self.y + top, self.width - left - right, self.height - top - bottom)


def draw(sheet: Sheet, found: Sequence[Mark], box: Box) -> list[str]:
    """The sheet's drawing in the box, below its title."""
    title = [text(box.x + 8, box.y + 17, fitted(sheet.title, box.width - 16, 12), size=12, color=INK, weight="600")]
    inner = box.inside(8, 26, 8, 6)
    if not found:
        return [*title, text(inner.x, inner.y + 14, "nothing")]
    if sheet.mark == "Text" and not sheet.rows:
        pill = sheet.text[0]
        return [*title, text(inner.x, inner.y + 34, shown(pill, found[0][pill.instance]), size=28, color=INK)]
    drawn = {"Text": _table, "Circle": _scatter, "Bar": _bars, "Square": _matrix, "Line": _lines}[sheet.mark]
    return [*title, *drawn(sheet, found, inner)]


def _table(sheet: Sheet, found: Sequence[Mark], box: Box) -> list[str]:
    pills = [*sheet.rows, *sheet.text]
    widths = _widths(sheet, pills, found, box.width)
    places = [box.x + sum(widths[:place]) for place in range(len(pills))]
    most = int((box.height - _ROW) / _ROW)
    body = found if len(found) <= most else found[:most - 1]
    parts = [text(x, box.y + 12, fitted(pill.label, width - 8), weight="600")
             for pill, x, width in zip(pills, places, widths, strict=True)]
    for row, mark in enumerate(body, 1):
        y = box.y + row * _ROW
        parts.append(line(box.x, y, box.x + box.width, y))
        parts += [text(x, y + 13, fitted(shown(pill, mark[pill.instance]), width - 8), color=INK)
                  for pill, x, width in zip(pills, places, widths, strict=True)]
    if len(body) < len(found):
        parts.append(text(box.x, box.y + (len(body) + 1) * _ROW + 12, f"… and {len(found) - len(body):,} more"))
    return parts


def _widths(sheet: Sheet, pills: Sequence[Pill], found: Sequence[Mark], width: float) -> list[float]:
    """As wide as the longest words need, in proportion where that is too much."""
    wanted = dict(sheet.widths)
    needs = [wanted.get(pill.field.label) or min(260.0, 16 + 6 * max(
        len(pill.label), *(len(shown(pill, mark[pill.instance])) for mark in found[:40]))) for pill in pills]
    return [need * width / sum(needs) for need in needs]


class _Scale(NamedTuple):
    """Values onto pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def _scale(values: Sequence[float], start: float, end: float, *, with_zero: bool = False) -> _Scale:
    low, high = min(values), max(values)
    if with_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = (high - low) * 0.04 or 0.5
    return _Scale(low if with_zero and low == 0 else low - room, high + room, start, end)


def _ticks(scale: _Scale, wanted: int) -> list[float]:
    rough = (scale.high - scale.low) / wanted
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * 0.999)
    first, last = math.ceil(scale.low / step - 1e-9), math.floor(scale.high / step + 1e-9)
    return [place * step for place in range(first, last + 1)]


def _axes(x: _Scale, y: _Scale, x_pill: Pill, y_pill: Pill) -> list[str]:
    parts = []
    for value in _ticks(y, 5):
        parts += [line(x.start, y.at(value), x.end, y.at(value)),
                  text(x.start - 6, y.at(value) + 3.5, _tick(value, y_pill), size=9, anchor="end")]
    for value in _ticks(x, 6):
        parts += [line(x.at(value), y.start, x.at(value), y.end),
                  text(x.at(value), y.start + 13, _tick(value, x_pill), size=9, anchor="middle")]
    middle = (y.start + y.end) / 2
    parts.append(text((x.start + x.end) / 2, y.start + 27, x_pill.label, anchor="middle"))
    parts.append(f'<text transform="translate({n(x.start - 40)} {n(middle)}) rotate(-90)" text-anchor="middle"'
                 f' font-size="10" fill="{MUTED}">{y_pill.label}</text>')
    return parts


def _tick(value: float, pill: Pill) -> str:
    is_share = pill.field.number_format.startswith("p")
    return number(value, "p0%" if is_share and abs(value * 100 - round(value * 100)) < 1e-6 else
                  pill.field.number_format if is_share else "")


def _legend(colours: Mapping[Any, str], x: float, y: float, height: float) -> list[str]:
    most = int(height / 16)
    parts = []
    for place, (member, colour) in enumerate(list(colours.items())[:most]):
        parts += [rect(x, y + place * 16, 9, 9, colour, radius=2),
                  text(x + 14, y + place * 16 + 8.5, fitted(str(member), 110))]
    return parts


def _colours(sheet: Sheet, found: Sequence[Mark]) -> dict[Any, str]:
    """Member -> colour of the sheet's colour pill; the source's own where it has any."""
    if sheet.color is None:
        return {}
    own = sheet.source.colours.get(sheet.color.field.name, {})
    members = sorted({mark[sheet.color.instance] for mark in found}, key=lambda member: natural(str(member)))
    return {member: own.get(member, COLOURS[place % len(COLOURS)]) for place, member in enumerate(members)}


def _scatter(sheet: Sheet, found: Sequence[Mark], box: Box) -> list[str]:
    x_pill, y_pill = sheet.cols[0], sheet.rows[0]
    placed = [mark for mark in found if mark[x_pill.instance] is not None and mark[y_pill.instance] is not None]
    colours = _colours(sheet, placed)
    x = _scale([mark[x_pill.instance] for mark in placed], box.x + 52, box.x + box.width - 96)
    y = _scale([mark[y_pill.instance] for mark in placed], box.y + box.height - 34, box.y + 4)
    parts = _axes(x, y, x_pill, y_pill) + _legend(colours, x.end + 16, box.y + 6, box.height - 20)
    size = sheet.size
    for mark in sorted(placed, key=lambda mark: mark[size.instance] if size else 1):
        colour = colours.get(mark[sheet.color.instance], MARK) if sheet.color else MARK
        is_big = size is not None and mark[size.instance] > 1
        parts.append(circle(x.at(mark[x_pill.instance]), y.at(mark[y_pill.instance]), 8 if is_big else 3.6, colour,
                            opacity=1 if is_big else 0.75, stroke=INK if is_big else ""))
    return parts


def _bars(sheet: Sheet, found: Sequence[Mark], box: Box) -> list[str]:
    """Headers left, a bar for each number beside them; as many rows as there is room for."""
    colours, least = _colours(sheet, found), _ROW if sheet.is_list else _SQUEEZED
    step = min(58.0 if not sheet.is_list else 26.0, max(least, (box.height - 20) / len(found)))
    most = int((box.height - 20) / step + 0.01)
    body = found if len(found) <= most else found[:most - 1]
    widths = _header_widths(sheet, body, box.width - _BAR * len(sheet.cols))
    places = [box.x + sum(widths[:place]) for place in range(len(widths))]
    parts = [text(x, box.y + 11, fitted(pill.label, width - 6), weight="600")
             for pill, x, width in zip(sheet.rows, places, widths, strict=True)]
    for row, mark in enumerate(body):
        y = box.y + 18 + row * step
        parts += [line(box.x, y, box.x + box.width, y)]
        parts += [text(x, y + step / 2 + 3.5, fitted(shown(pill, mark[pill.instance]), width - 6), color=INK)
                  for pill, x, width in zip(sheet.rows, places, widths, strict=True)]
    width = (box.width - sum(widths)) / len(sheet.cols)
    for place, pill in enumerate(sheet.cols):
        start = box.x + sum(widths) + place * width
        parts.append(text(start, box.y + 11, fitted(pill.label, width - 10), weight="600"))
        scale = _scale([mark[pill.instance] or 0 for mark in found], start, start + width - 48, with_zero=True)
        for row, mark in enumerate(body):
            colour = colours.get(mark[sheet.color.instance], MARK) if sheet.color else MARK
            parts += _bar(scale, box.y + 18 + row * step, step, pill, mark[pill.instance], colour)
    if len(body) < len(found):
        parts.append(text(box.x, box.y + 18 + len(body) * step + 13, f"… and {len(found) - len(body):,} more"))
    return parts


def _bar(scale: _Scale, y: float, step: float, pill: Pill, value: float | None, colour: str) -> list[str]:
    if value is None:
        return []
    zero, end = scale.at(0), scale.at(value)
    return [rect(min(zero, end), y + step * 0.16, abs(end - zero), step * 0.68, colour, radius=1),
            text(max(zero, end) + 4, y + step / 2 + 3.5, shown(pill, value), size=9, color=INK)]


def _header_widths(sheet: Sheet, found: Sequence[Mark], most: float) -> list[float]:
    """As wide as their words, all together at most as wide as the bars leave."""
    wanted = dict(sheet.widths)
    needs = [float(wanted.get(pill.field.label) or min(150.0, 14 + 6.2 * max(
        len(pill.label), *(len(shown(pill, mark[pill.instance])) for mark in found)))) for pill in sheet.rows]
    return [need * min(1.0, most / sum(needs)) for need in needs]


def _matrix(sheet: Sheet, found: Sequence[Mark], box: Box) -> list[str]:
    down, across, color = sheet.rows[0], sheet.cols[0], sheet.color
    if color is None:
        return []
    rows, cols = ([*sorted({mark[pill.instance] for mark in found}, key=natural)] for pill in (down, across))
    left = min(110.0, 14 + 6 * max(map(len, rows)))
    wide, high = (box.width - left) / len(cols), (box.height - 20) / len(rows)
    parts = [text(box.x + left + (place + 0.5) * wide, box.y + 10, fitted(name, wide), color=INK, anchor="middle")
             for place, name in enumerate(cols)]
    parts += [text(box.x + left - 6, box.y + 20 + (place + 0.5) * high, fitted(name, left - 8), color=INK, anchor="end")
              for place, name in enumerate(rows)]
    parts.append(rect(box.x + left, box.y + 16, wide * len(cols), high * len(rows), "#ffffff", GRID))
    for mark in found:
        x = box.x + left + cols.index(mark[across.instance]) * wide
        y = box.y + 16 + rows.index(mark[down.instance]) * high
        share = float(mark[color.instance] or 0)
        parts.append(rect(x + 1, y + 1, wide - 2, high - 2, _blue(share), radius=2))
        parts.append(text(x + wide / 2, y + high / 2 + 3.5, shown(sheet.text[0], mark[sheet.text[0].instance]),
                          color="#ffffff" if share > 0.45 else INK, anchor="middle"))
    return parts


def _blue(share: float) -> str:
    """From pale to full blue."""
    low, high = (222, 232, 244), (37, 82, 148)
    return "#" + "".join(f"{round(a + (b - a) * min(1.0, share)):02x}" for a, b in zip(low, high, strict=True))


def _lines(sheet: Sheet, found: Sequence[Mark], box: Box) -> list[str]:
    x_pill, y_pill, color = sheet.cols[0], sheet.rows[0], sheet.color
    placed = [mark for mark in found if mark[x_pill.instance] is not None and mark[y_pill.instance] is not None]
    colours = _colours(sheet, placed)
    x = _scale([mark[x_pill.instance] for mark in placed], box.x + 52, box.x + box.width - (128 if color else 12))
    y = _scale([mark[y_pill.instance] for mark in placed], box.y + box.height - 34, box.y + 4)
    parts = _axes(x, y, x_pill, y_pill) + _legend(colours, x.end + 14, box.y + 6, box.height - 20)
    for member in colours or [None]:
        own = [mark for mark in placed if color is None or mark[color.instance] == member]
        points = sorted((x.at(mark[x_pill.instance]), y.at(mark[y_pill.instance])) for mark in own)
        parts.append(polyline(points, colours.get(member, MARK)))
        parts += [circle(*point, 2.6, colours.get(member, MARK)) for point in points if 2 < len(points) <= 40]
    return [*parts, line(x.start, y.start, x.end, y.start, LINE)]
