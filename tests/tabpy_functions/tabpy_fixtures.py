"""What the tests share, started once: the server's stand-in, a TabPy of ours and a stock one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from stand_in import TOKEN, StandIn, running
from tabpy_processes import TabPy, launched_tabpy, stock_tabpy


@pytest.fixture(scope="session")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the stand-in's token."""
    path = tmp_path_factory.mktemp("token") / "token"
    path.write_text(TOKEN + "\n")
    return path


@pytest.fixture(scope="session")
def server() -> Iterator[StandIn]:
    """The stand-in for the Pixfield server."""
    with running() as stand_in:
        yield stand_in


@pytest.fixture(scope="session")
def ours(server: StandIn, token_file: Path) -> Iterator[TabPy]:
    """A TabPy of our launcher's, with the stand-in's functions and the unruly ones that only tests deploy."""
    with launched_tabpy("--server", server.url, "--token-file", str(token_file)) as tabpy:
        deploy_unruly(tabpy)
        yield tabpy


@pytest.fixture(scope="session")
def stock(server: StandIn, token_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TabPy]:
    """A stock TabPy whose environment knows the stand-in, with the unruly functions alone."""
    env = {"PIXFIELD_URL": server.url, "PIXFIELD_TOKEN_FILE": str(token_file)}
    with stock_tabpy(tmp_path_factory.mktemp("stock"), {}, env) as tabpy:
        deploy_unruly(tabpy)
        yield tabpy


def deploy_unruly(tabpy: TabPy) -> None:
    """Functions as other people write them, by TabPy's own client inside TabPy, without its waits."""
    script = """
from tabpy.tabpy_tools.client import Client
client = Client("http://localhost:{port}/")
client._wait_for_endpoint_deployment = lambda *args: None
def identity(x): return x
def raising(x): raise ValueError("no <b>such</b> luck")
def nan(x): return [float("nan")] * len(x)
def unserialisable(x): return {{1, 2}}
def mixed(x): return {{1: (x, None), "two</script>": [1.5, True, "\u65e5\u672c"]}}
def sleeping(x):
    import time
    time.sleep(x[0])
    return x
def changing(x):
    x.append("changed")
    return len(x)
for function in (identity, raising, nan, unserialisable, mixed, sleeping, changing):
    client.deploy(function.__name__, function, override=True)
""".format(port=tabpy.url.rpartition(":")[2])
    response = tabpy.evaluate(script)
    assert (response.status_code, response.text) == (200, "null")
