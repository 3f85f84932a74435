"""The rules that hold for the whole project: imports, lint, types, documents."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("models", "server", "tabpy_functions", "workbooks", "benchmarks")

MAY_IMPORT = {
    "models": {"models"},
    "server": {"server", "models"},
    "tabpy_functions": {"tabpy_functions"},
    "workbooks": {"workbooks"},
    "benchmarks": {"benchmarks", "server", "models"},
}
"""Package -> which of our packages it may import: TabPy's side and the workbooks talk to the server over HTTP only."""

TRAINING = ("tensorflow", "keras", "torch", "jax", "tf2onnx")


def _sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_they_may(package: str) -> None:
    """The direction of the dataflow stands in the imports."""
    wrong = [f"{path.relative_to(ROOT)}: {name}" for path in _sources(package)
             for name in _imports(ast.parse(path.read_text(encoding="utf-8")))
             if (top := name.partition(".")[0]) in PACKAGES and top not in MAY_IMPORT[package]]
    assert wrong == []


def test_keras_stays_inside_functions() -> None:
    """No module loads Keras or TensorFlow when it is imported."""
    wrong = []
    for package in PACKAGES:
        for path in _sources(package):
            body = ast.parse(path.read_text(encoding="utf-8")).body
            top_level = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
            names = _imports(ast.Module(body=list(top_level), type_ignores=[]))
            wrong += [f"{path.name}: {name}" for name in names if name.partition(".")[0] in TRAINING]
    assert wrong == []


def test_serving_loads_no_tensorflow() -> None:
    """The server process imports none of the training stack."""
    code = ("import sys, server.__main__, server.app, server.service, server.supervisor, server.demo\n"
            f"print([name for name in {TRAINING!r} if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_ruff_is_clean() -> None:
    """The lint rules of pyproject.toml hold everywhere."""
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise", "."],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "All checks passed!"


def test_types_are_strict() -> None:
    """mypy --strict finds nothing, tests included."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "run.py", "models", "server", "tabpy_functions",
               "workbooks", "benchmarks", "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == ""


def test_readme_tables_are_true() -> None:
    """Settings, functions and endpoints stand in the README exactly as the code has them."""
    from server.reference import README, with_tables

    text = README.read_text(encoding="utf-8")
    assert with_tables(text) == text


def test_openapi_lists_every_endpoint() -> None:
    """/openapi.json leaves no door out."""
    from flask import Flask

    from server.functions import FUNCTIONS
    from server.openapi import document
    from server.routes import routes

    app = Flask("rules", static_folder=None)
    app.register_blueprint(routes)
    rules = {str(rule).replace("<", "{").replace(">", "}") for rule in app.url_map.iter_rules()}
    expected = (rules - {"/query/{name}"}) | {f"/query/{name}" for name in FUNCTIONS}
    assert set(document()["paths"]) == expected


def test_files_and_functions_stay_small() -> None:
    """No file of code above 300 lines; an architecture may be longer."""
    long = [f"{path.relative_to(ROOT)}: {count}" for package in PACKAGES for path in _sources(package)
            if (count := len(path.read_text(encoding="utf-8").splitlines())) > 300
            and "architectures" not in path.parts]
    assert long == []
