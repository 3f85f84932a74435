"""Going on from a version: it begins where that one ended, and refuses what would be no going on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import digits
from models.errors import ModelError
from models.spec import SPEC_FILE
from models.training.material import gather
from models.training.order import Order
from models.training.recipe import Recipe
from models.training.starting import Start, version_of
from models.training.train import train
from models.version import ModelVersion

pytestmark = pytest.mark.usefixtures("keras")

LABELS = "ゼロ,one"


def _nothing(_line: str) -> None:
    """No terminal."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Zeros and ones with an official test part."""
    data, path = digits.load(), tmp_path_factory.mktemp("data") / "digits.npz"
    rows = np.flatnonzero(data.classes < 2)
    pixels, classes = data.pixels[rows, ..., 0], data.classes[rows]
    np.savez(path, x_train=pixels[:240], y_train=classes[:240], x_test=pixels[240:], y_test=classes[240:])
    return path


@pytest.fixture(scope="module")
def order(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Order:
    """A dense net, whose hundred epochs over them take a few seconds."""
    folder = tmp_path_factory.mktemp("training")
    return Order(source=str(source), name="digits", labels=LABELS, architecture="dense", budget_s=60.0,
                 store=folder / "store", work=folder / "work", command="run.py train digits.npz --name digits")


@pytest.fixture(scope="module")
def first(order: Order) -> ModelVersion:
    """The version to go on from."""
    return train(replace(order, budget_s=30.0), say=_nothing, started=0.0)


def test_it_begins_where_the_other_ended(order: Order, first: ModelVersion) -> None:
    """With its weights, its network and a quarter of its rate; the card of the new one tells of the old one."""
    said: list[str] = []
    wished = replace(order, architecture="auto", start="digits", erase=0.25, note="紙, CC0")
    second = train(wished, say=said.append, started=0.0)
    before, about = first.spec.about, second.spec.about
    assert (second.reference, about["architecture"]) == ("digits@2", "dense")
    assert about["from"]["version"] == "digits@1"
    assert about["from"]["digest"] == first.spec.digest
    assert about["from"]["recipe"] == before["recipe"]
    assert about["recipe"]["peak"] == before["recipe"]["peak"] / 4
    assert about["recipe"]["erase"] == 0.25
    assert about["history"][0]["loss"] < 0.7 * before["history"][0]["loss"]
    assert (about["why"], about["note"], "note" in before) == ("it is digits@1's", "紙, CC0", False)


def test_what_does_not_belong_together_is_refused(order: Order, first: ModelVersion, source: Path, tmp_path: Path
                                                  ) -> None:
    """Other classes, another size, or a test part that the version may have seen."""
    start = Start(version_of(str(first.folder), order.store))
    start.check(gather(order, say=_nothing))
    with pytest.raises(ModelError, match=r"has the classes ゼロ, one, .* has two, one; expected the same"):
        start.check(gather(replace(order, labels="two,one"), say=_nothing))
    with pytest.raises(ModelError, match="say --size 32"):
        start.check(gather(replace(order, size=16), say=_nothing))
    with np.load(source) as arrays:
        np.savez(tmp_path / "all.npz", x=arrays["x_train"], y=arrays["y_train"])
    with pytest.raises(ModelError, match="name with --test pictures that it has not seen"):
        start.check(gather(replace(order, source=str(tmp_path / "all.npz")), say=_nothing))


def test_a_version_of_another_origin_is_refused(order: Order, first: ModelVersion, tmp_path: Path) -> None:
    """One that was imported has no recipe; one that is not there is said."""
    imported = Path(shutil.copytree(first.folder, tmp_path / "digits" / "1"))
    card = json.loads((imported / SPEC_FILE).read_text(encoding="utf-8"))
    del card["about"]["recipe"]
    (imported / SPEC_FILE).write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelError, match=r"digits@1 was not made by run\.py train"):
        version_of(str(imported), order.store)
    with pytest.raises(ModelError, match="There is no model 'cats'"):
        version_of("cats", order.store)


def test_its_own_recipe_stays(first: ModelVersion) -> None:
    """But what the command wishes, and the small phase, which is for weights that know nothing."""
    recipe = Start(first).recipe(Recipe(flip=True, seed=5, small=0.5, label_smoothing=0.3))
    assert (recipe.flip, recipe.seed, recipe.small) == (True, 5, 0.0)
    assert recipe.optimizer == first.spec.about["recipe"]["optimizer"] == "adamw"
    assert recipe.label_smoothing == first.spec.about["recipe"]["label_smoothing"]
