"""The table of findings in docs/checking-workbooks.md: `python -m workbooks.check.page` writes it, a test compares."""

from __future__ import annotations

import re
from pathlib import Path

from workbooks.check.findings import RULES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "checking-workbooks.md"
_BEGIN, _END = "<!-- findings -->\n", "<!-- /findings -->"


def with_table(text: str) -> str:
    """The page with the table as the code has it."""
    head, _, rest = text.partition(_BEGIN)
    tail = rest.partition(_END)[2]
    rows = [f"| `{code}` | {rule.level} | {_shown(rule.sentence)} | {_shown(rule.remedy)} |"
            for code, rule in RULES.items()]
    table = "\n".join(["| code | counts as | says | do |", "|---|---|---|---|", *rows])
    return f"{head}{_BEGIN}{table}\n{_END}{tail}"


def _shown(text: str) -> str:
    plain = re.sub(r"\{(\w+)[^}]*\}", r"*\1*", text.replace("{endpoint}{hint}", "{endpoint}."))
    return plain.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
