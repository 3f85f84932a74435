"""The reference of a trained version: its training pictures as it sees them, measured by the validation pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from models.errors import ModelError
from models.reference.adding import summary
from models.reference.embedding import batched, keras_run
from models.reference.making import Pictures, make_reference
from models.reference.reference import REFERENCE_FILE
from models.training.material import Material
from models.training.order import Order


@dataclass(frozen=True, slots=True)
class Kept:
    """What a reference adds to a version: files by name, and what `model.json` says of it."""

    files: dict[str, bytes] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)


def reference_of(order: Order, material: Material, model: Any, *, within_s: float, say: Callable[[str], None]) -> Kept:
    """A reference made in about `within_s` seconds; where it cannot be made, none, and it is said why."""
    pictures = Pictures.of(material.data, material.train)
    others = Pictures.of(material.data, material.validation)
    try:
        reference = make_reference(pictures, others, material.data.labels, batched(keras_run(model)),
                                   numbers=int(model.output["embedding"].shape[-1]), seed=order.seed, within_s=within_s)
    except ModelError as exc:
        say(f"no reference: {exc}")
        return Kept()
    said = summary(reference, source=order.source, seed=order.seed, others=others)
    say(f"reference: {said['pictures']:,} pictures, {said['clusters']} clusters")
    return Kept({REFERENCE_FILE: reference.to_bytes()}, {"reference": said})
