"""`python run.py deploy`: the functions of a Pixfield server onto a TabPy that is already there."""

import argparse
import http.client
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tabpy_functions import deployment, function_table
from tabpy_functions.endpoints import endpoint_of
from tabpy_functions.errors import DeployError, TabPySideError
from tabpy_functions.http_json import Site, basic, bearer

DEFAULT_SERVER = "http://127.0.0.1:9005"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 when TabPy serves the functions, else 1 and one sentence on what to do."""
    options = _parser().parse_args(argv)
    try:
        tabpy, server = _sites(options)
        endpoints = [endpoint_of(function) for function in function_table.fetch(server)]
        outcome = deployment.deploy(tabpy, endpoints, replace=options.replace)
    except TabPySideError as exc:
        print(exc, file=sys.stderr)
        return 1
    print(_summary(outcome, tabpy))
    for line in _advice(tabpy, server, options.token_file):
        print(line)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.py deploy", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--tabpy", required=True, metavar="URL", help="the TabPy, for example http://tabpy.example:9004"
    )
    parser.add_argument("--server", default=DEFAULT_SERVER, metavar="URL", help="the Pixfield server (%(default)s)")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="file with the Pixfield server's token")
    parser.add_argument("--tabpy-user", metavar="NAME", help="user, where TabPy wants one")
    parser.add_argument("--tabpy-password-file", type=Path, metavar="FILE", help="file with that user's password")
    parser.add_argument("--replace", action="store_true", help="also over functions of the same names by others")
    return parser


def _sites(options: argparse.Namespace) -> tuple[Site, Site]:
    if (options.tabpy_user is None) != (options.tabpy_password_file is None):
        raise DeployError("--tabpy-user and --tabpy-password-file go together: give both or none.")
    try:
        login = basic(options.tabpy_user, options.tabpy_password_file) if options.tabpy_user else ""
        return Site(options.tabpy, login), Site(options.server, bearer(options.token_file))
    except OSError as exc:
        raise DeployError(f"{exc.filename} cannot be read ({exc.strerror}): name a file that can.") from exc
    except ValueError as exc:
        raise DeployError(f"{exc}.") from exc


def _summary(outcome: deployment.Outcome, tabpy: Site) -> str:
    if not outcome.deployed and not outcome.removed:
        return f"TabPy at {tabpy.url} is up to date: {len(outcome.unchanged)} functions."
    lines = [f"TabPy at {tabpy.url}:"]
    lines += [f"  {name}  deployed" for name in outcome.deployed]
    lines += [f"  {name}  removed (TabPy 2.16 goes on answering it until a restart)" for name in outcome.removed]
    lines += [f"  {len(outcome.unchanged)} unchanged"] if outcome.unchanged else []
    return "\n".join(lines)


def _advice(tabpy: Site, server: Site, token_file: Path | None) -> list[str]:
    """What that TabPy's environment must say, where it differs from what the functions assume; and whether it works."""
    there, here = urlsplit(tabpy.url).hostname, urlsplit(server.url).hostname
    wanted = []
    if here in _LOOPBACK and there not in _LOOPBACK:
        wanted.append(f"  PIXFIELD_URL=<the address of the Pixfield server as {there} reaches it>")
    elif server.url.rstrip("/") != DEFAULT_SERVER:
        wanted.append(f"  PIXFIELD_URL={server.url}")
    if token_file:
        wanted.append("  PIXFIELD_TOKEN_FILE=<a file there that holds the server's token>")
    lines = ["That TabPy's environment needs:", *wanted] if wanted else []
    problem = _reach_problem(tabpy, server)
    then = "Set that and restart it; at" if wanted else "At"
    return [*lines, f"{then} present it answers: {problem}" if problem else "It reaches the Pixfield server."]


def _reach_problem(tabpy: Site, server: Site) -> str:
    """What TabPy says about the status of no picture, where that is not what the server itself says about it."""
    question = {"data": {"paths": [None]}}
    try:
        expected = server.ask("POST", "/query/image_status", question)
        answer = tabpy.ask("POST", "/query/image_status", question)
    except (OSError, http.client.HTTPException) as exc:
        return f"no answer ({exc})."
    if answer.status == 200 and expected.status == 200 and answer.value["response"] == expected.value["response"]:
        return ""
    return f"{answer.value['response'][0]}." if answer.status == 200 else f"{answer.reason()}."


if __name__ == "__main__":
    sys.exit(main())
