"""The command: settings in, one line a check out, and at the end the one next thing to do."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from server import settings_sources
from server.doctor import machine, model_store, service
from server.doctor.finding import Case, Finding, fault
from server.doors import read_tokens
from server.errors import SettingsError
from server.settings import Settings, url_of

CHECKS: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    machine.python, machine.ports, machine.state, machine.token, model_store.models, machine.images, machine.mappings,
    machine.proxies, machine.clock, service.server, service.tabpy)
"""In the order in which they are to be mended: each needs those before it."""


def main(argv: Sequence[str] | None = None) -> int:
    """`python run.py doctor`; 0 when all is well, else 1."""
    arguments = _parser().parse_args(argv)
    try:
        found = settings_sources.read(arguments, environment=os.environ)
    except SettingsError as exc:
        return report(iter([fault("settings", str(exc).rstrip("."), "correct that")]))
    if (arguments.tabpy_user is None) != (arguments.tabpy_login_file is None):
        return report(iter([fault("settings", "--tabpy-user and --tabpy-login-file go together", "give both")]))
    return report(examine(_case(found.settings, arguments)))


def examine(case: Case) -> Iterator[Finding]:
    """Every finding, in order."""
    for check in CHECKS:
        yield from check(case)


def report(findings: Iterator[Finding]) -> int:
    """Prints each finding when it is known; returns the exit status."""
    first = None
    for finding in findings:
        print(finding.line(), flush=True)
        if finding.is_well is False and first is None:
            first = finding
    if first is None:
        print("All is well.")
        return 0
    print(f"Next: {first.remedy} ({first.check}: {first.text}).")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.py doctor", description="Looks at everything and says what to do next.",
                                     allow_abbrev=False)
    settings_sources.add_arguments(parser)
    parser.add_argument("--server", metavar="URL", help="a Pixfield server elsewhere (default: the one of --port)")
    parser.add_argument("--tabpy", metavar="URL", help="a TabPy that is not `serve`'s own")
    parser.add_argument("--tabpy-user", metavar="NAME", help="user, where TabPy wants one")
    parser.add_argument("--tabpy-login-file", type=Path, metavar="FILE", help="file with that user's password")
    return parser


def _case(settings: Settings, arguments: argparse.Namespace) -> Case:
    own_tabpy = None if settings.no_tabpy else f"http://127.0.0.1:{settings.tabpy_port}"
    login = (arguments.tabpy_user, arguments.tabpy_login_file) if arguments.tabpy_user else None
    return Case(settings=settings, server_url=(arguments.server or url_of(settings.host, settings.port)).rstrip("/"),
                tabpy_url=arguments.tabpy or own_tabpy, is_server_here=arguments.server is None,
                is_tabpy_ours=arguments.tabpy is None, tabpy_login=login, token=_token(settings),
                environment=os.environ)


def _token(settings: Settings) -> str:
    try:
        return (*read_tokens(settings.token_file), "")[0]
    except SettingsError:  # the check of the token file says so
        return ""


if __name__ == "__main__":
    sys.exit(main())
