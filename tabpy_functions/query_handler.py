"""`POST /query/<function>` off the event loop: the stock handler's work in a pool thread, its answers unchanged."""

import asyncio
import json
import time
import urllib.parse
from concurrent.futures import Executor
from hashlib import md5
from typing import Any

from tabpy.tabpy_server.common.messages import QueryFailed, QuerySuccessful, UnknownURI
from tabpy.tabpy_server.handlers.query_plane_handler import QueryPlaneHandler
from tabpy.tabpy_server.handlers.util import AuthErrorStates

from tabpy_functions.loaded_function import body_of, call, with_json


class PooledQueryHandler(QueryPlaneHandler):  # type: ignore[misc]  # TabPy publishes no types
    """The stock handler; parsing, the function and serialising run in `pool`, only sending on the loop."""

    def initialize(self, app: Any, pool: Executor) -> None:
        """As the stock handler, and the pool."""
        super().initialize(app)
        self._pool = pool

    async def get(self, endpoint_name: str) -> None:
        """TabPy answers GET as POST."""
        await self.post(endpoint_name)

    async def post(self, endpoint_name: str) -> None:
        """The stock order: authorise, bound the size, then work; tornado finishes the request afterwards."""
        if self.should_fail_with_auth_error() != AuthErrorStates.NONE:
            self.fail_with_auth_error()
            return
        if not self.request_body_size_within_limit():
            return
        name = urllib.parse.unquote(endpoint_name)
        await asyncio.get_running_loop().run_in_executor(self._pool, self._process_query, name, time.time())

    def _handle_result(self, po_name: str, data: Any, qry: object, uid: str) -> tuple[None, None]:  # noqa: ARG002
        """As the stock method, without writing columns into debug messages and with one serialisation for three."""
        answer, response = with_json(call(self.python_service.ps, po_name, data))
        if isinstance(answer, QuerySuccessful):
            self._write_answer(answer, response)
        elif isinstance(answer, UnknownURI):
            self.error_out(404, "UnknownURI", info=f'No query object has been registered with the name "{po_name}"')
        elif isinstance(answer, QueryFailed):
            self.error_out(500, f"Error querying function '{po_name}'", info=answer.for_json())
        return None, None

    def _write_answer(self, answer: Any, response: str) -> None:
        name, version = json.dumps(answer.uri), json.dumps(answer.version)
        tagged = f'{{"uri": {name}, "version": {version}, "response": {response}, "type": "QuerySuccessful"}}'
        self.set_header("Etag", f'"{md5(tagged.encode()).hexdigest()}"')  # noqa: S324 - stock TabPy's tag, no secret
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.write(body_of(answer, response))
