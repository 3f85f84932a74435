"""The `tabpy` object of a script: `tabpy.query` calls the loaded function in the script's own thread.

Stock TabPy asks itself over HTTP, a new connection each time, through four serialisations. The values a script sees are
the same here: what is no plain column goes through JSON just as it would on the wire.
"""

import json
import math
import re
import uuid
from typing import Any

from requests.compat import json as requests_json  # type: ignore[attr-defined]  # simplejson where installed
from tabpy.tabpy_server.common.messages import QuerySuccessful
from tabpy.tabpy_server.handlers.evaluation_plane_handler import RestrictedTabPy

from tabpy_functions.loaded_function import body_of, call, with_json

_SCALARS = frozenset({str, int, float, bool, type(None)})
_PLAIN_NAME = re.compile(r"[\w-]+", re.ASCII)


class InProcessTabPy(RestrictedTabPy):  # type: ignore[misc]  # TabPy publishes no types
    """Stock attributes and answers; only the way to a loaded function is shorter."""

    def __init__(self, python_service: Any, *stock: Any) -> None:
        super().__init__(*stock)
        self._service = python_service.ps

    def query(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """The dict that `POST /query/<name>` answers, whatever its status."""
        if not self._is_loaded_function(name):
            return super().query(name, *args, **kwargs)
        answer = call(self._service, name, _as_sent(list(args) or kwargs))
        if isinstance(answer, QuerySuccessful) and is_plain(answer.response):
            column = answer.response
            response = list(column) if isinstance(column, list) else column  # the function may keep its own
            return {"response": response, "version": answer.version, "model": name, "uuid": str(uuid.uuid4())}
        answer, text = with_json(answer)
        if isinstance(answer, QuerySuccessful):
            return requests_json.loads(body_of(answer, text))  # as requests reads the stock answer: NaN raises
        return {"message": f"Error querying function '{name}'", "info": dict(answer.for_json())}

    def _is_loaded_function(self, name: object) -> bool:
        """Aliases, functions that are not there and odd names take the stock way."""
        if not isinstance(name, str) or not _PLAIN_NAME.fullmatch(name):
            return False
        info = self._service.query_objects.get(name)
        return info is not None and info["type"] == "model" and info["endpoint_obj"] is not None


def is_plain(value: object) -> bool:
    """A scalar or a list of scalars that JSON gives back unchanged."""
    column = value if type(value) is list else [value]
    types = set(map(type, column))
    if not types <= _SCALARS:
        return False
    return float not in types or all(math.isfinite(x) for x in column if type(x) is float)


def _as_sent(arguments: list[Any] | dict[str, Any]) -> Any:
    """The arguments as the function would get them over the wire: the script's own lists stay the script's."""
    values = arguments if isinstance(arguments, list) else list(arguments.values())
    if not all(map(is_plain, values)):
        return json.loads(json.dumps(arguments))
    if isinstance(arguments, list):
        return [list(value) if type(value) is list else value for value in arguments]
    return {name: list(value) if type(value) is list else value for name, value in arguments.items()}
