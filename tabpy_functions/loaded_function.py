"""A deployed function called where it is loaded: arguments in, TabPy's own result message out."""

import json
import logging
import uuid
from typing import Any

from tabpy.tabpy_server.common.messages import QueryFailed, QuerySuccessful
from tabpy.tabpy_server.common.util import format_exception
from tabpy.tabpy_tools.custom_query_object import CustomQueryObject

log = logging.getLogger(__name__)


def call(service: Any, name: str, data: Any) -> Any:
    """As TabPy's PythonService.query, without its debug messages, which spell out every column three times.

    Whether the answer can be written as JSON is not looked at yet: see `with_json`.
    """
    info = service.query_objects.get(name)
    query_object = info and info["endpoint_obj"]
    if not isinstance(query_object, CustomQueryObject) or not isinstance(data, (dict, list)):
        return service.query(name, data, "")
    try:
        function = query_object.custom_query
        return QuerySuccessful(name, info["version"], function(**data) if isinstance(data, dict) else function(*data))
    except Exception as exc:  # noqa: BLE001 - the edge: any function's failure is an answer, as in TabPy
        return _failed(name, exc)


def with_json(answer: Any) -> tuple[Any, str]:
    """The message and its response as JSON; a response that is none makes it a failure, in TabPy's words."""
    if not isinstance(answer, QuerySuccessful):
        return answer, ""
    try:
        return answer, json.dumps(answer.response)
    except TypeError:
        problem = TypeError(f"Result from object query is not json serializable: {answer.response}")
        return _failed(answer.uri, problem), ""
    except ValueError as exc:  # refers to itself
        return _failed(answer.uri, exc), ""


def body_of(answer: Any, response: str) -> str:
    """What `/query` sends for a success: TabPy's four keys, the response as it was written before."""
    name, version = json.dumps(answer.uri), json.dumps(answer.version)
    body = f'{{"response": {response}, "version": {version}, "model": {name}, "uuid": "{uuid.uuid4()}"}}'
    return body.replace("</", "<\\/")  # as tornado writes a dict


def _failed(name: str, exc: Exception) -> Any:
    log.error("%s failed: %s", name, type(exc).__name__, exc_info=exc if exc.__traceback__ else None)
    return QueryFailed(uri=name, error=format_exception(exc, "/query"))
