"""`demo`: everything at once on pictures that come with Pixfield, ending with what a Tableau user needs next.

The held-out digits are written as PNG files with a CSV of their true labels; server and TabPy are started; the column
is asked through TabPy exactly as Tableau would; the answers are shown beside the truth.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from models import digits
from server import logs, settings_sources
from server.errors import SettingsError
from server.service import check_model, state_folder
from server.settings import Settings
from server.supervisor import Supervisor, stop_on_signals

_MODEL = "digits"
_SHOWN = 8
_TIMEOUT_S = 120.0


class Answer(NamedTuple):
    """A row of the demo's table."""

    path: str
    true_label: str
    label: str | None
    confidence: float | None


def main(argv: list[str] | None = None) -> int:
    """`python run.py demo [--once]`."""
    parser = argparse.ArgumentParser(prog="run.py demo", usage="run.py demo [options]",
                                     description="TabPy, server, functions and pictures at once.")
    parser.add_argument("--once", action="store_true", help="print the table, stop everything and exit")
    settings_sources.add_arguments(parser)
    arguments = parser.parse_args(argv)
    try:
        settings = settings_sources.read(arguments, environment=os.environ).settings
        return _run(settings, is_once=arguments.once)
    except (SettingsError, DemoError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    except KeyboardInterrupt:
        return 130


class DemoError(Exception):
    """The demo did not get its answers; the text says where to look."""


def _run(settings: Settings, *, is_once: bool) -> int:
    if settings.no_evaluate or settings.tabpy_password_file is not None:
        raise DemoError("The demo asks as a script without a password does: leave out --no-evaluate and"
                        " --tabpy-password-file, or use serve.")
    with state_folder(settings.state) as state:
        folder, labels = write_pictures(state / "demo")
        folder_of_logs = state / "logs"
        folder_of_logs.mkdir(exist_ok=True)
    settings = replace(settings, images=(*settings.images, folder), model=settings.model or _MODEL, no_tabpy=False)
    check_model(settings)
    _say(f"{len(labels)} handwritten digits the model has never seen are in {folder}")
    relay = None
    if settings.log_file is not None:
        logs.set_up(settings, process="demo")
        relay = logs.relay(settings)
    with Supervisor(settings, log_folder=None if relay else folder_of_logs, say=_say, relay=relay) as supervisor:
        answers = ask(settings.tabpy_port, labels)
        _say(table(answers if is_once else answers[:_SHOWN]))
        _say(agreement(answers))
        if is_once:
            return 0
        stop = stop_on_signals()
        _say(next_steps(settings, supervisor.url, folder))
        supervisor.watch(stop)
    return 0


def write_pictures(folder: Path) -> tuple[Path, dict[str, str]]:
    """Write the held-out digits and `digits.csv`; returns the picture folder and file name -> true label."""
    pictures = folder / "digits"
    pictures.mkdir(parents=True, exist_ok=True)
    labels: dict[str, str] = {}
    for name, data, label in digits.held_out():
        path = pictures / name
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)
        labels[name] = label
    with (folder / "digits.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Image Path", "True Label"])
        writer.writerows(labels.items())
    return pictures, labels


def ask(tabpy_port: int, labels: dict[str, str]) -> list[Answer]:
    """The answers to the column, asked through TabPy until no row is pending.

    Raises:
        DemoError: TabPy does not answer, or rows are still pending after two minutes.
    """
    paths = list(labels)
    until = time.monotonic() + _TIMEOUT_S
    while True:
        status = evaluate(tabpy_port, "image_status", paths)
        if "pending" not in status:
            break
        _say(f"{len(paths) - status.count('pending')} of {len(paths)} rows are answered ...")
        if time.monotonic() > until:
            raise DemoError("Rows are still pending after two minutes: look at server.log in the state folder's logs.")
    failed = next((reason for reason in status if reason != "ok"), None)
    if failed is not None:
        raise DemoError(f"A picture has no answer: {failed}")
    columns = (evaluate(tabpy_port, name, paths) for name in ("image_label", "image_confidence"))
    return [Answer(*row) for row in zip(paths, labels.values(), *columns, strict=True)]


def evaluate(tabpy_port: int, function: str, paths: list[str]) -> list[Any]:
    """One calculated field's request, in Tableau's own form."""
    script = f"return tabpy.query('{function}', _arg1)['response']"
    body = json.dumps({"script": script, "data": {"_arg1": paths}}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{tabpy_port}/evaluate", body,
                                     {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as response:
            column: list[Any] = json.load(response)
    except (urllib.error.URLError, OSError) as exc:
        raise DemoError(f"TabPy did not answer for {function} ({exc}): look at tabpy.log in the state folder's logs.") \
            from exc
    return column


def table(answers: list[Answer]) -> str:
    """The answers as aligned text."""
    head = ("path", "true label", "label", "confidence")
    rows = [head, *((a.path, a.true_label, str(a.label), f"{a.confidence:.3f}") for a in answers)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
                     for row in rows)


def agreement(answers: list[Answer]) -> str:
    """How many labels are the true ones."""
    right = sum(answer.label == answer.true_label for answer in answers)
    return f"{right} of {len(answers)} labels agree with the true ones: {100 * right / len(answers):.2f} %"


def next_steps(settings: Settings, url: str, folder: Path) -> str:
    """What a Tableau user does now."""
    return f"""
In Tableau: Help > Settings and Performance > Manage Analytics Extension Connection > TabPy
  Host      localhost
  Port      {settings.tabpy_port}
Connect to the text file {folder.parent / "digits.csv"}, put Image Path on Rows, and add a calculated field:
  SCRIPT_STR("return tabpy.query('image_label', _arg1)['response']", ATTR([Image Path]))
(Compute Using > Image Path, so that Tableau sends one request, not one a row.)
Pictures    {folder}
Fields      {url}/fields   (what to paste, for every function)
Server      {url}   (POST /v1/classify, GET /v1/functions, /metrics)
Ctrl-C stops everything."""


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
