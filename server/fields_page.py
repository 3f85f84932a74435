"""`/fields`: the page of what to paste into Tableau, self-contained and without a script."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from server.function_fields import ADDRESSING, TABLE_SCRIPT, all_fields, field_of
from server.functions import FUNCTIONS

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #222;
  background: #fff; overflow-wrap: anywhere }
h2 { font-size: 1.05rem; margin: 2rem 0 0; font-family: ui-monospace, monospace }
p { margin: .3rem 0 }
code { display: block; margin: .3rem 0; padding: .4rem .6rem; background: #f2f4f7; border-radius: 4px;
  font-size: .85rem; white-space: pre-wrap; user-select: all }
small { color: #555 }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #1b1d21 } code { background: #2a2d33 }
  small { color: #aaa } }
"""
STYLE_SOURCE = f"'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
"""What the page's Content-Security-Policy allows: this style, and nothing else."""


def fields_page() -> str:
    """The page; Jinja escapes every text."""
    environment = Environment(loader=FileSystemLoader(Path(__file__).resolve().parent), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    with_model = field_of(FUNCTIONS["image_label"], has_all=True)
    return environment.get_template("fields.html").render(
        style=Markup(STYLE), fields=all_fields(), with_model=with_model, addressing=ADDRESSING,  # noqa: S704 - ours
        table_script=TABLE_SCRIPT)
