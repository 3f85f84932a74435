"""The functions onto a TabPy that is already there, on whatever host and Python: source goes, nothing of ours stays.

TabPy takes an endpoint in two steps: its pickled function must lie on its own disk, then TabPy is told where. The first
step is one `/evaluate` script that carries all sources and pickles them over there (`Client(remote_server=True)` sends
one a function); the second is TabPy's own `/endpoints` API, asked from here, so that every refusal is seen.
"""

import http.client
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tabpy_functions.endpoints import Endpoint, digest_in
from tabpy_functions.errors import DeployError
from tabpy_functions.http_json import Answer, Site

# Runs inside TabPy. Its staging path may hold letters TabPy itself refuses as src_path; relative it mostly does not.
_PICKLE_SCRIPT = """
import json, os, re
from tabpy.tabpy_tools.custom_query_object import CustomQueryObject
folders = {{}}
for name, source, description, folder in json.loads({plan!r}):
    namespace = {{"__name__": "pixfield_" + name}}
    exec(source, namespace)
    if not re.match("^[-_~./:()A-Za-z0-9 \\\\\\\\]+$", folder):
        folder = os.path.relpath(folder)
    CustomQueryObject(query=namespace[name], description=description).save(folder)
    folders[name] = folder
return folders
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The names of the functions, by what happened to them."""

    deployed: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]


def deploy(tabpy: Site, endpoints: Sequence[Endpoint], *, replace: bool = False) -> Outcome:
    """Makes TabPy serve exactly these functions of ours; others' functions stay untouched unless `replace`."""
    there = ask(tabpy, "GET", "/endpoints")
    loaded = ask(tabpy, "GET", "/status")
    ours = {endpoint.name: endpoint for endpoint in endpoints}
    foreign = [name for name in ours if name in there and not digest_in(there[name])]
    if foreign and not replace:
        raise DeployError(
            f"TabPy at {tabpy.url} already has {', '.join(foreign)} from somebody else: remove them there, or deploy "
            "with --replace."
        )
    changed = [endpoint for endpoint in endpoints if not _is_current(endpoint, there, loaded)]
    if changed:
        _register(tabpy, changed, there)
    removed = [name for name, info in there.items() if digest_in(info) and name not in ours]
    for name in removed:
        ask(tabpy, "DELETE", f"/endpoints/{name}")
    deployed = tuple(endpoint.name for endpoint in changed)
    return Outcome(deployed, tuple(name for name in ours if name not in deployed), tuple(removed))


def ask(tabpy: Site, method: str, path: str, value: object = None) -> Any:
    """TabPy's answer; raises DeployError with what to do when it refuses or is not there."""
    try:
        answer = tabpy.ask(method, path, value)
    except (OSError, http.client.HTTPException) as exc:
        raise DeployError(f"TabPy not reached at {tabpy.url} ({exc}): start it, or correct --tabpy.") from exc
    if answer.status < 300:
        return answer.value
    raise DeployError(_refusal(tabpy, path, answer))


def _refusal(tabpy: Site, path: str, answer: Answer) -> str:
    known = {
        401: f"TabPy at {tabpy.url} refuses the user or password: give --tabpy-user and --tabpy-password-file.",
        406: f"TabPy at {tabpy.url} asks for no password: leave out --tabpy-user.",
    }
    if path == "/evaluate" and "disabled" in answer.reason():
        return (
            f"TabPy at {tabpy.url} has scripts switched off, which deploying needs: start it once with "
            "TABPY_EVALUATE_ENABLE=true, deploy, and switch them off again."
        )
    default = f"TabPy at {tabpy.url} answered HTTP {answer.status} to {path}: {answer.reason() or 'no reason given'}."
    return known.get(answer.status, default)


def _is_current(endpoint: Endpoint, there: dict[str, Any], loaded: dict[str, Any]) -> bool:
    """Nothing to do: the same digest, public, and loaded (a new Python over there may have broken its pickle)."""
    info, status = there.get(endpoint.name, {}), loaded.get(endpoint.name, {})
    is_public = info.get("is_public", True)  # TabPy before 2.12 knows no such thing
    return digest_in(info) == endpoint.digest and is_public and status.get("status") == "LoadSuccessful"


def _register(tabpy: Site, endpoints: Iterable[Endpoint], there: dict[str, Any]) -> None:
    versions = {endpoint.name: there.get(endpoint.name, {}).get("version", 0) + 1 for endpoint in endpoints}
    staging = ask(tabpy, "GET", "/configurations/endpoint_upload_destination")["path"]
    plan = [(e.name, e.source, e.description, f"{staging}/endpoints/{e.name}/{versions[e.name]}") for e in endpoints]
    folders = ask(tabpy, "POST", "/evaluate", {"script": _PICKLE_SCRIPT.format(plan=json.dumps(plan)), "data": {}})
    for endpoint in endpoints:
        request = request_body(endpoint) | {"src_path": folders[endpoint.name], "version": versions[endpoint.name]}
        if endpoint.name in there:
            ask(tabpy, "PUT", f"/endpoints/{endpoint.name}", request | {"should_update_version": True})
        else:
            ask(tabpy, "POST", "/endpoints", request)
    _check_loaded(tabpy, versions)


def request_body(endpoint: Endpoint) -> dict[str, Any]:
    """The endpoint as TabPy's API takes it."""
    return {
        "name": endpoint.name,
        "description": endpoint.description,
        "docstring": endpoint.docstring,
        "schema": endpoint.schema,
        "is_public": True,
        "type": "model",
        "methods": [{"method": "query"}],
        "dependencies": [],
    }


def _check_loaded(tabpy: Site, versions: dict[str, int]) -> None:
    loaded = ask(tabpy, "GET", "/status")
    for name, version in versions.items():
        status = loaded.get(name, {})
        if status.get("status") != "LoadSuccessful" or status.get("version") != version:
            why = status.get("last_error") or "another deployment came between: deploy again"
            raise DeployError(f"TabPy at {tabpy.url} did not load {name}: {why}.")
