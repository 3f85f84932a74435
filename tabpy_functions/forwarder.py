"""From a function's description to the source of the one function that TabPy serves under its name."""

import ast
import functools
import textwrap
from pathlib import Path

from tabpy_functions.errors import FunctionTableError
from tabpy_functions.function_table import Function

IGNORED = "refresh"  # lets a Tableau parameter force a new request; the server has no use for it


def source_of(function: Function) -> str:
    """A self-contained function as text: standard library only, Python 3.8 and later, all it calls inside."""
    body, names = _inside()
    if clash := names & set(function.parameters):
        raise FunctionTableError(f"{function.name} has a parameter {min(clash)}, a name the forwarder uses itself.")
    first, *others = function.parameters
    signature = ", ".join([first, *(f"{name}=None" for name in others)])
    sent = ", ".join(f"{name!r}: {name}" for name in others if name != IGNORED)
    lines = [
        f"def {function.name}({signature}):",
        textwrap.indent(f"{docstring(function)!r}\n{body}\n", "    "),
        f"    return forward({function.name!r}, {_on_failure(function)!r}, {first}, {{{sent}}})",
    ]
    return "\n".join(lines) + "\n"


def docstring(function: Function) -> str:
    """One line, because TabPy's state file loses parts of longer ones."""
    return f"{function.description} Example: {function.example}" if function.example else function.description


def _on_failure(function: Function) -> str:
    if function.returns == "object":
        return "table"
    return "message" if function.name == "image_status" else "null"


@functools.cache
def _inside() -> tuple[str, frozenset[str]]:
    """forwarding.py without its docstring, and the names it defines."""
    text = Path(__file__).with_name("forwarding.py").read_text(encoding="ascii")
    tree = ast.parse(text)
    start = tree.body[1].lineno - 1
    names: set[str] = set()
    for node in tree.body[1:]:
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return "\n".join(text.splitlines()[start:]), frozenset(names)
