"""`python run.py classify INPUT --image-column NAME --out OUT`."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from workbooks.enrich import hyper
from workbooks.enrich.answering import Asking
from workbooks.enrich.checking import check_against_model
from workbooks.enrich.command_line import base_of, check_unchanged, checked, opened, parser, source_of
from workbooks.enrich.enriching import Plan, enrich, summary
from workbooks.enrich.errors import EnrichError
from workbooks.enrich.fields import ARGUMENTS, chosen
from workbooks.enrich.finding_server import Found, Wishes, found_server
from workbooks.enrich.journal import Journal
from workbooks.enrich.picture_texts import asked_texts
from workbooks.enrich.publishing import Place
from workbooks.enrich.table import image_column


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 when OUT is written (and published), 2 when something is in the way, 130 after Ctrl-C."""
    arguments = parser().parse_args(argv)
    try:
        checked(arguments)
        place = _place(arguments)
        _run(arguments)
        if place is not None:
            _say(f"Published as {place.name!r} to {place.url}, id {place.publish(arguments.out)}.")
    except EnrichError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped; the same command goes on.\n")
        return 130
    return 0


def _place(arguments: argparse.Namespace) -> Place | None:
    """Where to publish, looked at before a long run."""
    if arguments.out.suffix.lower() == ".hyper":
        hyper.check()
    if not arguments.publish:
        return None
    place = Place.of(url=arguments.tableau_url, site=arguments.site, project=arguments.project,
                     name=arguments.name or arguments.out.stem)
    place.check()
    return place


def _run(arguments: argparse.Namespace) -> None:
    base = base_of(arguments)
    folders = dict.fromkeys([*([base] if base is not None else []), *map(Path.absolute, arguments.images)])
    wishes = Wishes(arguments.server, arguments.token_file, arguments.config, tuple(folders))
    with Journal(arguments.out.absolute()) as journal:
        source = source_of(arguments)
        journal.prepare(source, is_afresh=arguments.afresh, say=_say)
        table, name = opened(arguments, journal)
        image = image_column(table, name)
        with found_server(wishes, _say) as found:
            asking = _asking(arguments, found, base)
            plan = Plan(table, image, base, asking.fields, arguments.out,
                        check=partial(check_unchanged, arguments, source), is_listing=arguments.input.is_dir())
            pinned = asking.pin()
            check_against_model(asking)
            job = plan.job(source, pinned, dict(asking.arguments))
            reasons = enrich(plan, asking, journal, done=journal.begin(job, say=_say), say=_say)
    for line in summary(table.rows, reasons, arguments.out):
        _say(line)


def _asking(arguments: argparse.Namespace, found: Found, base: Path | None) -> Asking:
    given = {name: getattr(arguments, name) for name in ARGUMENTS if getattr(arguments, name) is not None}
    if "to" in given:
        given["to"] = asked_texts([given["to"]], base)[0]
    names = [name.strip() for name in arguments.fields.split(",") if name.strip()]
    fields = chosen(names, found.functions, given)
    return Asking(found.server, fields, arguments.model, given, say=_say)


def _say(line: str) -> None:
    try:
        print(line.encode("utf-8", "backslashreplace").decode(), flush=True)
    except OSError:  # nobody reads any more, as with | head: OUT is written all the same
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process


if __name__ == "__main__":
    raise SystemExit(main())
