"""The Python inside a SCRIPT_ field, read from its syntax tree and never run: what it asks of TabPy, and forgets.

TabPy makes a function of it, one line at a time: `def _user_script(tabpy, _arg1, ...):` and the script indented by one
space. The same is done here, so that what is a mistake there is one here.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MAX_SCRIPT = 500_000
_ARGUMENT = re.compile(r"_arg([0-9]+)")
_R = re.compile(r"(?<![\w.])\.arg[0-9]")
_RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class Query:
    """One `tabpy.query(...)`; `name` is None where only the run can tell, `positional` None with `*arguments`."""

    name: str | None
    positional: int | None
    keywords: tuple[str, ...]
    through: str  # tabpy, client, or the unknown name it is called on
    lacks_response: bool = False


@dataclass(slots=True)
class Script:
    """What there is to know about a script."""

    queries: list[Query] = field(default_factory=list)
    arguments: set[int] = field(default_factory=set)
    error: str = ""
    is_r: bool = False
    returns: bool = True
    answer: Query | None = None  # whose response is what the script returns, if that is all it does


def read(text: str, *, values: Mapping[int, object] | None = None) -> Script:
    """The script; `values` are the arguments that are the same in every row, such as parameters, by number."""
    if len(text) > MAX_SCRIPT:
        return Script(error=f"it has {len(text):,} characters; only {MAX_SCRIPT:,} are looked at")
    tree = _tree(text)
    if isinstance(tree, str):
        return Script(error=tree, is_r=bool(_R.search(text)), arguments={int(n) for n in _ARGUMENT.findall(text)})
    return _Reader(tree, values or {}).script()


def _tree(text: str) -> ast.FunctionDef | str:
    body = "".join(f" {line}\n" for line in text.splitlines())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes and the like are not ours to judge
            module = ast.parse(f"def _user_script(tabpy):\n{body}")
    except SyntaxError as exc:
        line = max((exc.lineno or 2) - 1, 1)
        return f"{exc.msg}, line {line}"
    except (ValueError, RecursionError, MemoryError) as exc:
        return str(exc) or "it is nested too deeply"
    function = module.body[0]
    return function if isinstance(function, ast.FunctionDef) else "it is no function body"


class _Reader:
    """One walk over a script's tree."""

    def __init__(self, tree: ast.FunctionDef, values: Mapping[int, object]) -> None:
        self.values = values
        self.nodes = list(ast.walk(tree))
        self.parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}
        self.assigned: dict[str, list[ast.expr | None]] = {}
        for node in self.nodes:
            self._note(node)
        self.tree = tree

    def script(self) -> Script:
        """All of it."""
        found = Script(arguments={int(match.group(1)) for node in self.nodes if isinstance(node, ast.Name)
                                  if (match := _ARGUMENT.fullmatch(node.id))})
        calls = [(node, query) for node in self.nodes if isinstance(node, ast.Call) if (query := self._query(node))]
        found.queries = [query for _, query in calls]
        returned = [node for node in self.nodes if isinstance(node, ast.Return) and self._is_ours(node)]
        values = [node.value for node in returned if node.value is not None]
        found.returns = bool(values)
        if len(values) == 1:
            found.answer = next((query for node, query in calls if self._response_of(values[0]) is node), None)
        return found

    def _note(self, node: ast.AST) -> None:
        """Names that get a value, with the value where it is a plain assignment."""
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self.assigned.setdefault(target.id, []).append(node.value)
        elif isinstance(node, ast.alias):
            name = node.asname or node.name.partition(".")[0]
            self.assigned.setdefault(name, []).append(ast.Name(node.name))
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            self.assigned.setdefault(node.name, []).append(None)
        elif isinstance(node, ast.arg):
            self.assigned.setdefault(node.arg, []).append(None)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) \
                and not isinstance(self.parents.get(node), ast.Assign):
            self.assigned.setdefault(node.id, []).append(None)

    def _is_ours(self, node: ast.AST) -> bool:
        """Of the script itself, not of a function in it."""
        parent = self.parents.get(node)
        while parent is not None and not isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            parent = self.parents.get(parent)
        return parent is self.tree

    def _query(self, call: ast.Call) -> Query | None:
        through = self._through(call.func)
        if through is None or not (call.args or call.keywords):
            return None
        is_open = any(isinstance(argument, ast.Starred) for argument in call.args)
        keywords = tuple(word.arg for word in call.keywords if word.arg is not None)
        is_open = is_open or len(keywords) < len(call.keywords)
        name = self._constant(call.args[0]) if call.args else None
        positional = None if is_open else len(call.args) - 1
        return Query(name if isinstance(name, str) else None, positional, keywords, through, self._lacks_response(call))

    def _through(self, function: ast.expr) -> str | None:
        """What a `.query` is called on: tabpy, client, a name that nothing defines; None for everything else."""
        if isinstance(function, ast.Name):
            values = self.assigned.get(function.id, [])
            value = values[0] if len(values) == 1 else None
            return self._through(value) if isinstance(value, ast.Attribute) else None
        if not isinstance(function, ast.Attribute) or function.attr != "query":
            return None
        owner = function.value
        if isinstance(owner, ast.Name):
            if owner.id == "tabpy" and len(self.assigned.get("tabpy", ())) <= 1:
                return "tabpy"
            values = self.assigned.get(owner.id, [])
            if any(isinstance(value, ast.Call) and _is_client(value.func) for value in values):
                return "client"
            return None if values else owner.id
        return "client" if isinstance(owner, ast.Call) and _is_client(owner.func) else None

    def _lacks_response(self, call: ast.Call) -> bool:
        """Its answer is returned, or looked into, without 'response': TabPy then says only that nothing responded."""
        parent = self.parents.get(call)
        if isinstance(parent, ast.Return):
            return self._is_ours(parent)  # what a function in the script returns may be looked into later
        if isinstance(parent, ast.Subscript) and parent.value is call:
            key = self._constant(parent.slice)
            return isinstance(key, str | int) and key != _RESPONSE
        if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name):
            name = parent.targets[0].id
            return any(isinstance(node, ast.Return) and isinstance(node.value, ast.Name) and node.value.id == name
                       for node in self.nodes) and len(self.assigned.get(name, ())) == 1
        return False

    def _response_of(self, value: ast.expr) -> ast.expr | None:
        """The query whose response this expression is."""
        if isinstance(value, ast.Name):
            values = self.assigned.get(value.id, [])
            return self._response_of(values[0]) if len(values) == 1 and values[0] is not None \
                and not isinstance(values[0], ast.Name) else None
        if isinstance(value, ast.Subscript) and self._constant(value.slice) == _RESPONSE:
            owner = value.value
            if isinstance(owner, ast.Name) and len(self.assigned.get(owner.id, ())) == 1:
                return self.assigned[owner.id][0]
            return owner
        return None

    def _constant(self, node: ast.expr, depth: int = 0) -> object:
        """The value of an expression that is the same for every row; None where only the run can tell."""
        if depth > 20:
            return None
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            values = self.assigned.get(node.id, [])
            return self._constant(values[0], depth + 1) if len(values) == 1 and values[0] is not None else None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return _joined([self._constant(node.left, depth + 1), self._constant(node.right, depth + 1)])
        if isinstance(node, ast.JoinedStr):
            return _joined(list(self._parts(node, depth)))
        return self._first_of_argument(node)

    def _parts(self, node: ast.JoinedStr, depth: int) -> Iterator[object]:
        for part in node.values:
            if not isinstance(part, ast.FormattedValue):
                yield self._constant(part, depth + 1)
            elif part.format_spec is not None or part.conversion not in (-1, ord("s")):
                yield None
            else:
                value = self._constant(part.value, depth + 1)
                yield None if value is None else str(value)

    def _first_of_argument(self, node: ast.expr) -> object:
        """`_arg2[0]`, where the second argument is a parameter: its value now."""
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            match = _ARGUMENT.fullmatch(node.value.id)
            if match and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int):
                return self.values.get(int(match.group(1)))
        return None


def _joined(parts: list[object]) -> str | None:
    return "".join(str(part) for part in parts) if all(isinstance(part, str) for part in parts) else None


def _is_client(function: ast.expr) -> bool:
    """`Client(...)`, `client.Client(...)`, `tabpy_client.Client(...)`."""
    if isinstance(function, ast.Attribute):
        return function.attr == "Client"
    return isinstance(function, ast.Name) and function.id == "Client"
