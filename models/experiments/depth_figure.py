"""The depth experiment's errors by epoch, as a table and as a drawing: training error left, test error right."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

from models.evaluation.chart import Plane, percents
from models.experiments.depth import Network
from models.training.loop import Epoch

_WIDTH, _HEIGHT = 480.0, 340.0
_COLUMNS = ("network", "depth", "shortcuts", "epoch", "learning_rate", "training_error", "test_error", "seconds")
_STYLE = """
svg { background: #ffffff; font: 13px system-ui, "Segoe UI", "Helvetica Neue", sans-serif; }
text { fill: #1b1f24; } .tick, .axis { fill: #5b6470; } .end { text-anchor: end; } .mid { text-anchor: middle; }
.grid { stroke: #e8eaed; } .line { fill: none; stroke-width: 2; }
.plain { stroke: #d9480f; } .resnet { stroke: #2563c9; } .shallow { stroke-dasharray: 5 4; stroke-width: 1.5; }
"""
"""Orange and blue are told apart by colour-blind people; the shallower network of each kind is dashed."""


def write_csv(path: Path, networks: Sequence[Network]) -> None:
    """One row a network and epoch: errors are shares 0..1. UTF-8 with the mark that Excel and Tableau look for."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(_COLUMNS)
        for one in networks:
            for epoch in one.history:
                rows.writerow((one.name, one.depth, "yes" if one.is_residual else "no", epoch.number,
                               f"{epoch.learning_rate:.6f}", f"{1 - epoch.accuracy:.5f}", f"{_test(epoch):.5f}",
                               f"{epoch.seconds:.1f}"))


def write_svg(path: Path, networks: Sequence[Network]) -> None:
    """Both charts, as one file without anything from elsewhere."""
    left = _chart(networks, "training error", lambda epoch: 1 - epoch.accuracy)
    right = _chart(networks, "test error", _test)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * _WIDTH:.0f} {_HEIGHT:.0f}" role="img" '
        f'aria-label="Plain and residual networks: errors by epoch"><style>{_STYLE}</style>'
        f'<rect width="{2 * _WIDTH:.0f}" height="{_HEIGHT:.0f}" fill="#ffffff"/>'
        f'<g>{left}</g><g transform="translate({_WIDTH:.0f} 0)">{right}</g></svg>\n', encoding="utf-8")


def _chart(networks: Sequence[Network], name: str, error: Callable[[Epoch], float]) -> str:
    """The lines of one kind of error by epoch, each with its name at its end."""
    lines = {one: [(float(epoch.number), error(epoch)) for epoch in one.history] for one in networks}
    values = [value for points in lines.values() for _, value in points]
    last = max(len(one.history) for one in networks)
    plane = Plane(name, (0.0, last * 1.22), (0.0, min(1.0, max(values) * 1.05)), width=_WIDTH, height=_HEIGHT)
    step = max(1, round(last / 6))
    plane.axes([(float(x), str(x)) for x in range(0, last + 1, step)], percents(*plane.y), x_name="epoch", y_name=name)
    deepest = max(one.depth for one in networks)
    for one, points in lines.items():
        kind = "resnet" if one.is_residual else "plain"
        plane.line(points, f"line {kind}" if one.depth == deepest else f"line {kind} shallow")
    for one, place in _apart(lines, plane).items():
        plane.note(last, 0.0, one.name, "label", move=(6.0, place - plane.down(0.0)))
    return "".join(plane.parts)


def _apart(lines: dict[Network, list[tuple[float, float]]], plane: Plane) -> dict[Network, float]:
    """Where each name stands: beside the end of its line, and at least a line's height below the one above."""
    places: dict[Network, float] = {}
    above = 0.0
    for one in sorted(lines, key=lambda one: plane.down(lines[one][-1][1])):
        above = max(plane.down(lines[one][-1][1]) + 4, above + 15.0)
        places[one] = above
    return places


def _test(epoch: Epoch) -> float:
    return 1 - (epoch.validation_accuracy or 0.0)

