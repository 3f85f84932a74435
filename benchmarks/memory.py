"""`bench memory`: what a warm column adds to the server, and a store of a million answers behind a bounded memory."""

from __future__ import annotations

import argparse
import hashlib
import shutil
import time
from pathlib import Path

import numpy as np

from benchmarks.pictures import many_digits
from benchmarks.report import Promise, Report
from benchmarks.stack import print_line, running
from benchmarks.tableau import body_of, time_request, until_none_pending
from models.registry import Registry
from server.paths import FoundFile, Roots, Signature
from server.ranking import Rankings
from server.service import state_folder
from server.store import Store, StoredAnswer, StoredSource

_SHIPPED = Path(__file__).resolve().parent.parent / "models" / "store"
_MILLION = 1_000_000
_CACHE_MB = 512


def run(arguments: argparse.Namespace) -> Report:
    """Memory of the server process before and after."""
    report = Report("Memory of the server (digits)", ("what", "MB", "seconds"))
    _warm_column(arguments, report)
    _million(arguments, report)
    return report


def _warm_column(arguments: argparse.Namespace, report: Report) -> None:
    paths = [str(path) for path in many_digits(100_000, arguments.cache)]
    folder = Path(paths[0]).parent.parent
    state = arguments.scratch / "warm"
    with running(state, images=(folder,), store=_SHIPPED, model="digits", cache_mb=_CACHE_MB) as stack:
        stack.wait_until_filled()
        port = stack.settings.tabpy_port
        for begin in range(0, len(paths), 10_000):
            until_none_pending(port, paths[begin:begin + 10_000])
    with running(state, images=(folder,), store=_SHIPPED, model="digits", cache_mb=_CACHE_MB) as stack:
        before = stack.server_memory_mb()  # memory may not be filled yet: what filling adds counts too
        stack.wait_until_filled()
        for _ in range(5):
            time_request(stack.settings.tabpy_port, body_of("image_label", paths))
        after = stack.server_memory_mb()
    report.rows += [("server at ready", before, ""), ("after 5 warm columns of 100,000 rows", after, "")]
    report.promises.append(Promise("MB added by serving a warm 100,000-row column", after - before, 300))


def _million(arguments: argparse.Namespace, report: Report) -> None:
    state = arguments.scratch / "million"
    shutil.rmtree(state, ignore_errors=True)
    print_line("  writing a million answers ...")
    write_million(state, arguments.cache)
    with running(state, images=(arguments.cache,), store=_SHIPPED, model="digits", cache_mb=_CACHE_MB) as stack:
        before = stack.server_memory_mb()
        started = time.monotonic()
        stack.wait_until_filled()
        seconds = time.monotonic() - started
        after = stack.server_memory_mb()
    report.rows += [("a million stored rows: at ready", before, ""), ("after the memory was filled", after, seconds)]
    report.promises.append(Promise(f"MB a million stored rows add, --cache-mb {_CACHE_MB}", after - before, _CACHE_MB))
    shutil.rmtree(state, ignore_errors=True)


def write_million(state: Path, images: Path) -> None:
    """A store with a million sources and answers of the digits model, as a long life would leave it."""
    spec = Registry((_SHIPPED,)).resolve("digits").spec
    with state_folder(state):
        store = Store(state / "answers.sqlite")
        roots = store.name_id("roots " + "\n".join(Roots.of((images,)).allowed))
        model = store.name_id(spec.digest)
        random = np.random.default_rng(0)
        vector = np.zeros(spec.outputs["embedding"][0], np.float16).tobytes()
        for begin in range(0, _MILLION, 10_000):
            packed = Rankings.of(random.dirichlet(np.ones(len(spec.labels)), 10_000).astype(np.float32)).pack()
            for number, ranking in enumerate(packed, begin):
                digest = hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()
                path = str(images / "a folder with a name" / f"picture-{number:07d}.png")
                found = FoundFile(path, Signature(1, number, 1000, 1))
                store.put_source(roots, StoredSource(path, found, digest))
                store.put_answer(model, StoredAnswer(digest, ranking, None), vector)
            store.flush()
        store.close()
