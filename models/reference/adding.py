"""`models reference`: a version becomes the next one, with a reference made of a source of labelled pictures.

A version never changes: the new one has the same network, checked and copied, and another identity, so what the server
has stored for the old one is not taken for it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from models.adding import next_version
from models.data.labelled import Labelled
from models.data.loading import load
from models.data.reading import Wishes
from models.errors import DataError, ModelError
from models.export import arriving_folder
from models.reference.embedding import embedder
from models.reference.making import MEASURING, Pictures, balanced, can_measure, make_reference
from models.reference.placing import NEIGHBOURS
from models.reference.reference import REFERENCE_FILE, Reference
from models.spec import SPEC_FILE, write_spec
from models.version import ModelVersion, file_digest, open_version

_MEASURED_SHARE = 0.1  # of the pictures stays out of the reference and says what is usual

_LONG_S = 4 * 3600.0  # 100,000 pictures on two cores take their time, and somebody asked for them


def add_reference(version: ModelVersion, source: str, *, root: Path, wishes: Wishes | None = None,
                  count: int | None = None, seed: int = 1, within_s: float = _LONG_S) -> ModelVersion:
    """The next version of a model: its files, and a reference of the pictures in `source`.

    Args:
        version: what it is made of.
        source: labelled pictures, of any classes; see docs/training-data.md.
        root: the folder of all models.
        wishes: what else to say about the source.
        count: pictures of the reference; see `make_reference`.
        seed: another seed, other pictures and another map.
        within_s: seconds it may take, reading the source aside.

    Raises:
        ModelError: the version or the source cannot be used.
    """
    version.verify()
    spec = version.spec
    data = load(source, size=spec.input_size, channels=spec.channels, resize=spec.resize, wishes=wishes)
    pictures, others = dealt(data, seed=seed)
    reference = make_reference(pictures, others, data.labels, embedder(version), numbers=spec.outputs["embedding"][0],
                               count=count, seed=seed, within_s=within_s)
    about = {**spec.about, "reference": summary(reference, source=source, seed=seed, others=others),
             "made_from": version.reference}
    return with_files(version, {REFERENCE_FILE: reference.to_bytes()}, about=about, root=root)


def dealt(data: Labelled, *, seed: int) -> tuple[Pictures, Pictures]:
    """What the reference is chosen from, and the pictures of each class that are kept out of it; no content in both."""
    _, first = np.unique(np.array(data.digests), return_index=True)
    first.sort()
    once = Pictures.of(data, first)
    if len(once) < 2:
        raise DataError(f"{data.source}: all its pictures are the same.")
    order = balanced(once, len(once), seed=seed)
    apart = min(MEASURING, int(_MEASURED_SHARE * len(once)))
    return once.taken(order[apart:]), once.taken(order[:apart])


def summary(reference: Reference, *, source: str, seed: int, others: Pictures | None) -> dict[str, Any]:
    """What `model.json` says about it."""
    from importlib.metadata import version

    return {
        "pictures": len(reference),
        "source": Path(source).name,
        "clusters": len(reference.cluster_names),
        "map": f"openTSNE {version('openTSNE')}, perplexity 30, seed {seed}",
        "outliers": f"by the distance to neighbour {NEIGHBOURS}, against " + (
            f"{len(reference.distances):,} other pictures" if can_measure(others) else "the pictures themselves"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def with_files(version: ModelVersion, extra: Mapping[str, bytes], *, about: Mapping[str, Any], root: Path,
               number: str | None = None) -> ModelVersion:
    """A copy of a version with further files, written whole or not at all, under its next free number.

    Raises:
        ModelError: that number is taken.
    """
    spec = version.spec
    folder = root / spec.name / (number or next_version(root / spec.name))
    if folder.exists():
        raise ModelError(f"{spec.name}@{folder.name} exists in {root}; remove it first or take another version.")
    with arriving_folder(folder) as new:
        for name in spec.files:
            if name not in extra:
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(version.folder / name, new / name)
        for name, content in extra.items():
            (new / name).write_bytes(content)
        files = {**spec.files, **{name: file_digest(new / name) for name in extra}}
        write_spec(new / SPEC_FILE, replace(spec, version=folder.name, files=files, about=about, digest=""))
    return open_version(folder)
