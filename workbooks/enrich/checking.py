"""Arguments of fields that no picture would have a value for: refused before a long run of nulls.

The server answers them with nulls, since a field in Tableau may have another argument in every row; here there is one.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from workbooks.enrich.answering import Asking
from workbooks.enrich.errors import EnrichError
from workbooks.enrich.fields import STATUS, Field

_SHOWN = 20


def check_numbers(arguments: Mapping[str, Any]) -> None:
    """Raise EnrichError for a rank or a threshold that no model has."""
    rank, threshold = arguments.get("rank"), arguments.get("threshold")
    if rank is not None and rank < 1:
        raise EnrichError(f"--rank {rank}: ranks begin with 1, the most probable class.")
    if threshold is not None and not 0 <= threshold <= 1:  # nan is neither
        raise EnrichError(f"--threshold {threshold:g}: expected a confidence from 0 to 1, such as 0.8.")


def check_against_model(asking: Asking) -> None:
    """Raise EnrichError where the version that was pinned has no such rank or class, or its server no such picture."""
    rank, label, to = (asking.arguments.get(name) for name in ("rank", "label", "to"))
    labels = _labels(asking) if rank is not None or label is not None else []
    if labels and rank is not None and rank > len(labels):
        raise EnrichError(f"--rank {rank}: {asking.model} has {len(labels):,} classes.")
    if labels and label is not None and label not in labels:
        more = ", ..." if len(labels) > _SHOWN else ""
        raise EnrichError(f"--label {label}: {asking.model} has no such class; it has {', '.join(labels[:_SHOWN])}"
                          f"{more}.")
    if to is not None:
        asked = replace(asking, fields=[Field(STATUS, pa.string())], tell=lambda _: None)
        status = asked.columns([to])[0][0].as_py()
        if status != "ok":
            raise EnrichError(f"--to {to}: {status}. Name a picture that the server reads.")


def _labels(asking: Asking) -> list[str]:
    """The classes of the model; none where its server does not say them."""
    try:
        status, card, _ = asking.server.once("GET", f"/v1/models/{quote(asking.model or '', safe='@')}")
    except (OSError, http.client.HTTPException):
        return []  # the rows are asked next, which says it
    labels = card.get("labels") if isinstance(card, dict) else None
    return list(map(str, labels)) if status == 200 and isinstance(labels, list) else []
