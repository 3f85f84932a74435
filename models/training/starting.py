"""Going on from a version that is there: its network, its weights and its recipe, on pictures that may be more by now.

The second cycle's learning rate is a quarter of the first one's (as in warm restarts: Loshchilov and Hutter 2017,
"SGDR"), all of it at the full side, since the weights know these pictures already. What the version was trained on must
not judge it: the test is a source of its own, or the official one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.architectures import table
from models.errors import ModelError
from models.export import KERAS_FILE
from models.registry import Registry
from models.training.recipe import Recipe
from models.version import ModelVersion, open_version

if TYPE_CHECKING:
    from models.training.material import Material

_PEAK = 0.25  # of the learning rate that the version was trained with


def version_of(asked: str, store: Path) -> ModelVersion:
    """The version that `--from` names: `NAME`, `NAME@VERSION` of the store, or a version's folder; its files checked.

    Raises:
        ModelError: there is none, it is damaged, or it was not made by `train`.
    """
    folder = Path(asked)
    version = open_version(folder) if folder.is_dir() else Registry((store,)).resolve(asked)
    version.verify()
    about = version.spec.about
    if not isinstance(about.get("architecture"), str) or not isinstance(about.get("recipe"), Mapping):
        raise ModelError(f"--from {asked}: {version.reference} was not made by run.py train, so nobody knows how it was"
                         " trained; name one that was.")
    table.find(about["architecture"])
    return version


@dataclass(frozen=True, slots=True)
class Start:
    """The version to go on from."""

    version: ModelVersion

    @property
    def architecture(self) -> str:
        """The network's name."""
        return str(self.version.spec.about["architecture"])

    def check(self, material: Material) -> None:
        """Raise `ModelError` where the pictures are not the version's, or would judge what they trained."""
        spec, data = self.version.spec, material.data
        if spec.labels != data.labels:
            raise ModelError(f"--from: {self.version.reference} has the classes {_few(spec.labels)}, {data.source} has"
                             f" {_few(data.labels)}; expected the same in the same order.")
        wanted, given = (spec.input_size, spec.channels, spec.resize), (data.size, data.channels, data.resize)
        if wanted != given:
            raise ModelError(f"--from: {self.version.reference} takes pictures of {wanted} (side, channels, resizing),"
                             f" these are {given}; say --size {spec.input_size}.")
        if material.is_dealt:
            raise ModelError(f"--from: {self.version.reference} may have been trained on what would judge it here; name"
                             " with --test pictures that it has not seen.")

    def weights(self, build: Callable[[int], Any]) -> list[NDArray[np.float32]]:
        """The weights in the order of the network that `build` makes; raises `ModelError` where they do not fit."""
        import keras

        loaded = keras.saving.load_model(self.version.folder / KERAS_FILE, compile=False, safe_mode=True).get_weights()
        expected = build(self.version.spec.input_size).get_weights()
        if [weight.shape for weight in loaded] != [weight.shape for weight in expected]:
            raise ModelError(f"--from: {self.version.reference} has other weights than today's {self.architecture}:"
                             " train it afresh.")
        return [np.asarray(weight, np.float32) for weight in loaded]

    def recipe(self, recipe: Recipe) -> Recipe:
        """`recipe` with what the version was trained with; its batch, epochs and seed stay, and its wishes."""
        kept = self.version.spec.about["recipe"]
        earlier: dict[str, Any] = {name: kept[name] for name in _KEPT}
        return replace(recipe, **earlier, peak=_PEAK * kept["peak"], small=0.0, flip=recipe.flip or kept["flip"],
                       erase=recipe.erase or kept["erase"], distort=recipe.distort or kept.get("distort", 0.0))

    def about(self) -> dict[str, Any]:
        """What the card of the new version says of this one."""
        earlier = self.version.spec.about
        return {"version": self.version.reference, "digest": self.version.spec.digest,
                **{name: earlier[name] for name in _TOLD if name in earlier}}


_KEPT = ("optimizer", "momentum", "weight_decay", "label_smoothing", "shift")
_TOLD = ("accuracy", "command", "epochs", "training_s", "created", "machine", "recipe", "from")


def _few(labels: tuple[str, ...]) -> str:
    return ", ".join(labels[:5]) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")
