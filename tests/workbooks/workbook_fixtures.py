"""The sample workbooks, made once for all tests: really classified by a server that was started for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from workbooks import build
from workbooks.authoring.workbook import Workbook
from workbooks.content.samples import samples
from workbooks.gathering.demo_server import Demo, demo_server


@dataclass(frozen=True, slots=True)
class Built:
    """The workbooks, what was said while they were made, and the server and TabPy that answered."""

    workbooks: dict[str, Workbook]
    said: list[str]
    demo: Demo


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """As `run.py workbooks build` makes them; the server stays up until the last test."""
    state = tmp_path_factory.mktemp("状態 state")
    arguments = build.parser().parse_args(["--state", str(state)])
    said: list[str] = []
    with demo_server(state, build.image_folders(arguments), arguments.public_url, arguments.store) as demo:
        made = {one.name: one for one in samples(demo.client, build.wishes(arguments), "hyper", said.append)}
        yield Built(made, said, demo)
