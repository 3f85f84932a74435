"""The three places where our TabPy differs from the stock package, and the check that they are still where we think.

1. `/query`: TabPy runs a function on its event loop, deaf to all others meanwhile; here it runs in a pool.
2. `/evaluate`: as many threads as cores become many, because the work is waiting for the server.
3. `tabpy.query` in a script: TabPy asks itself over HTTP on a new connection; here the function is called.
What goes over the wire is equal to the stock package's, errors included.
"""

import importlib.metadata
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from tabpy_functions.errors import LaunchError

TABPY_VERSION = "2.16.0"
POOL_THREADS = 64


def check_hooks() -> None:
    """Raises LaunchError unless the installed TabPy is the one these hooks were written for."""
    version = importlib.metadata.version("tabpy")
    if version != TABPY_VERSION:
        raise LaunchError(f"TabPy {version} is installed, {TABPY_VERSION} is needed: run `python run.py serve` again.")
    found = _found()
    wrong = [name for name, value in found.items() if value != _EXPECTED[name]]
    if wrong:
        raise LaunchError(f"TabPy {version} is not as expected at {', '.join(wrong)}: install {TABPY_VERSION} afresh.")


_EXPECTED: dict[str, tuple[object, ...]] = {
    "RestrictedTabPy": ("protocol", "port", "logger", "timeout", "headers"),
    "RestrictedTabPy.query": ("self", "name", "args", "kwargs"),
    "_process_query": ("self", "endpoint_name", "start"),
    "_handle_result": ("self", "po_name", "data", "qry", "uid"),
    "custom_query": ("description", "custom_query"),
    "calls": (True, True, True, True),
}


def _found() -> dict[str, tuple[object, ...]]:
    """What the installed TabPy has at the places of the hooks."""
    from tabpy.tabpy_server.app.app import TabPyApp
    from tabpy.tabpy_server.handlers import evaluation_plane_handler as evaluation
    from tabpy.tabpy_server.handlers.query_plane_handler import QueryPlaneHandler
    from tabpy.tabpy_tools.custom_query_object import CustomQueryObject

    return {
        "RestrictedTabPy": _parameters(evaluation.RestrictedTabPy),
        "RestrictedTabPy.query": _parameters(evaluation.RestrictedTabPy.query),
        "_process_query": _parameters(QueryPlaneHandler._process_query),  # noqa: SLF001 - the hook itself
        "_handle_result": _parameters(QueryPlaneHandler._handle_result),  # noqa: SLF001 - the hook itself
        "custom_query": tuple(vars(CustomQueryObject(print))),
        "calls": tuple(
            name in method.__code__.co_names
            for method, name in (
                (inspect.unwrap(evaluation.EvaluationPlaneHandler._call_subprocess), "RestrictedTabPy"),  # noqa: SLF001
                (QueryPlaneHandler._process_query, "_handle_result"),  # noqa: SLF001 - the hook itself
                (TabPyApp.run, "_create_tornado_web_app"),
                (TabPyApp.run, "init_model_evaluator"),
            )
        ),
    }


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


def install_hooks(app: Any, application: Any) -> None:
    """Puts our handlers and pools into the routes of a stock TabPy application."""
    from tabpy.tabpy_server.handlers import evaluation_plane_handler as evaluation
    from tabpy.tabpy_server.handlers.query_plane_handler import QueryPlaneHandler

    from tabpy_functions.query_handler import PooledQueryHandler
    from tabpy_functions.script_tabpy import InProcessTabPy

    query_pool = ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="query")
    evaluate_pool = ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="evaluate")
    changed = []
    for rule in application.wildcard_router.rules:
        if rule.target is QueryPlaneHandler:
            rule.target = PooledQueryHandler
            rule.target_kwargs = {"app": app, "pool": query_pool}
            changed.append("query")
        elif "executor" in (rule.target_kwargs or {}):
            rule.target_kwargs["executor"] = evaluate_pool
            changed.append("evaluate")
    if sorted(changed) != ["evaluate", "query"]:
        raise LaunchError(f"TabPy's routes are not as expected ({changed}): install tabpy {TABPY_VERSION} afresh.")
    evaluation.RestrictedTabPy = partial(InProcessTabPy, app.python_service)
