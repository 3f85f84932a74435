"""Columns of the embedding reference through the real server: the same values in any column, and why there are none."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from numpy.typing import NDArray

from models import digits
from models.reference.placing import Placed, Placing
from models.reference.reference import REFERENCE_FILE, Reference, read_reference
from models.registry import ModelVersion
from models.version import file_digest
from server.app import create_app
from server.engine import Engine, OnnxEngine
from server.served_model import NO_REFERENCE
from server.service import Service
from server.settings import Settings

if TYPE_CHECKING:
    from server_fixtures import WatchedEngine

pytest_plugins = ("server_fixtures",)

PLACED = ("map_x", "map_y", "cluster", "nearest_label", "outlier")
OTHERS = [None, "broken.png", "absent.png", "*"]


@dataclass(frozen=True)
class Site:
    """A server and a way to ask it."""

    service: Service
    client: FlaskClient

    def column(self, field: str, paths: Any, **arguments: Any) -> Any:
        """The response of a function."""
        answer = self.client.post(f"/query/image_{field}", json={"data": {"paths": paths, **arguments}})
        assert answer.status_code == 200, answer.text
        return answer.get_json()["response"]

    def rows(self, paths: list[str | None]) -> list[tuple[Any, ...]]:
        """All columns of the reference by row, the similarity to the first good picture and the key too."""
        columns = [self.column(field, paths) for field in (*PLACED, "duplicate_group")]
        return list(zip(*columns, self.column("similarity", paths, to="数字 0.png"), strict=True))

    def classify(self, paths: list[str | None], fields: list[str], **body: Any) -> Any:
        """The answer of `/v1/classify`."""
        answer = self.client.post("/v1/classify", json={"paths": paths, "fields": fields, **body})
        assert answer.status_code == 200, answer.text
        return answer.get_json()


@dataclass
class CountedPlacing:
    """Another placing that counts what it is asked for."""

    other: Placing
    pictures: int = 0

    def place(self, vectors: NDArray[np.float32]) -> Placed:
        """The other one's answer."""
        self.pictures += len(vectors)
        return self.other.place(vectors)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Held-out digits under Japanese names, digits of the reference under their own, and a file that is none."""
    target = tmp_path_factory.mktemp("画像 reference")
    for number, (_, data, _) in enumerate(digits.held_out()[:30]):
        (target / f"数字 {number}.png").write_bytes(data)
    source = digits.load()
    for row in range(0, len(source.classes), 40):
        (target / digits.file_name(row)).write_bytes(digits.as_png(source.ink[row]))
    noise = np.random.default_rng(1).integers(0, 17, (10, 8, 8), np.uint8)
    for number, ink in enumerate(noise):
        (target / f"noise {number}.png").write_bytes(digits.as_png(ink))
    (target / "broken.png").write_bytes(b"no picture")
    return target


@pytest.fixture(scope="module")
def options(folder: Path, version: ModelVersion, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings for it."""
    return Settings(images=(folder,), state=tmp_path_factory.mktemp("state"), store=version.folder.parents[1],
                    model="digits", engine="onnx", cache_mb=1, engine_threads=2, decode_threads=2)


def _open(stack: ExitStack, settings: Settings, engine: Engine) -> Site:
    service = stack.enter_context(closing(Service(settings, open_engine=lambda *_: engine)))
    return Site(service, create_app(service).test_client())


@pytest.fixture(scope="module")
def site(options: Settings, engine: OnnxEngine) -> Iterator[Site]:
    """One server for all tests that leave it as it was."""
    with ExitStack() as stack:
        yield _open(stack, options, engine)


@pytest.fixture(scope="module")
def reference(version: ModelVersion) -> Reference:
    """The shipped model's."""
    found = read_reference(version)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def paths(folder: Path) -> list[str | None]:
    """The good pictures."""
    names = sorted(path.name for path in folder.glob("*.png") if path.name != "broken.png")
    return [*names]


@pytest.fixture(scope="module")
def whole(site: Site, paths: list[str | None]) -> dict[str | None, tuple[Any, ...]]:
    """Every value of every good picture, asked as one column."""
    return dict(zip(paths, site.rows(paths), strict=True))


# ---- the same whatever else is in the column ---------------------------------------------------------------------


@examples(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_partition_proof(site: Site, paths: list[str | None], whole: dict[str | None, tuple[Any, ...]],
                         data: st.DataObject) -> None:
    """Parts of the column, in any order, with repeats and with rows that fail: the same values to the last digit."""
    part = data.draw(st.lists(st.sampled_from([*paths, *OTHERS]), min_size=1, max_size=60))
    assert site.rows(part) == [whole.get(path, (None,) * 7) for path in part]


def test_a_restart_and_a_full_memory_change_nothing(site: Site, options: Settings, engine: OnnxEngine,
                                                    paths: list[str | None], tmp_path: Path,
                                                    whole: dict[str | None, tuple[Any, ...]]) -> None:
    """Places are computed again from stored embeddings, keys read from the store; no picture is read."""
    site.service.store.flush()
    shutil.copyfile(options.state / "answers.sqlite", tmp_path / "answers.sqlite")
    with ExitStack() as stack:
        again = _open(stack, replace(options, state=tmp_path), engine)
        assert dict(zip(reversed(paths), again.rows(paths[::-1]), strict=True)) == whole


def test_a_bounded_memory_answers_a_longer_column(site: Site, paths: list[str | None],
                                                  whole: dict[str | None, tuple[Any, ...]]) -> None:
    """Beyond the limit the older half goes, and the column is complete all the same."""
    places = site.service.model("digits").places
    assert places is not None
    limit, places._limit = places._limit, 10
    places._drop_older_half()
    assert site.column("map_x", paths) == [whole[path][0] for path in paths]
    assert len(places) <= 10
    places._limit = limit


def test_a_column_of_labels_asks_for_no_place(options: Settings, engine: OnnxEngine, paths: list[str | None],
                                              tmp_path: Path) -> None:
    """Nothing is computed, and no thread for keys is started."""
    with ExitStack() as stack:
        one = _open(stack, replace(options, state=tmp_path), engine)
        one.column("label", paths)
        one.column("status", paths)
        places = one.service.model("digits").places
        assert places is not None
        assert (len(places), one.service._fingerprints) == (0, None)


def test_columns_asked_at_once_are_placed_once(options: Settings, engine: OnnxEngine, paths: list[str | None],
                                               tmp_path: Path, whole: dict[str | None, tuple[Any, ...]]) -> None:
    """Tableau asks for x, y, cluster and label of the same column in one moment."""
    with ExitStack() as stack:
        one = _open(stack, replace(options, state=tmp_path), engine)
        one.column("label", paths)
        places = one.service.model("digits").places
        assert places is not None
        counted = places._placing = CountedPlacing(places._placing)  # type: ignore[assignment]
        app = create_app(one.service)
        with ThreadPoolExecutor(8) as pool:
            columns = list(pool.map(lambda _: Site(one.service, app.test_client()).column("map_x", paths), range(8)))
        assert columns == [[whole[path][0] for path in paths]] * 8
        assert counted.pictures == len(paths)


# ---- what the values are -----------------------------------------------------------------------------------------


def test_a_picture_of_the_reference_is_exactly_at_its_place(site: Site, reference: Reference,
                                                            paths: list[str | None]) -> None:
    """The map does not move."""
    rows = {name: row for row, name in enumerate(reference.names)}
    known = [path for path in paths if path in rows]
    assert len(known) >= 20
    expected = [[round(float(value), 4) for value in reference.places[rows[name or ""]]] for name in known]
    assert [list(place) for place in zip(site.column("map_x", known), site.column("map_y", known), strict=True)] \
        == expected


def test_the_nearest_label_is_right_nearly_always(site: Site, folder: Path) -> None:
    """Of thirty pictures the network has not seen, at most one is nearest to another digit."""
    names = [f"数字 {number}.png" for number in range(30)]
    truth = {data: label for _, data, label in digits.held_out()}
    expected = [truth[(folder / name).read_bytes()] for name in names]
    found = site.column("nearest_label", names)
    assert sum(one != other for one, other in zip(found, expected, strict=True)) <= 1


def test_a_cluster_is_one_of_the_reference(site: Site, paths: list[str | None], reference: Reference) -> None:
    """By its name."""
    assert set(site.column("cluster", paths)) <= set(reference.cluster_names)


def test_planted_outliers_are_far_out(site: Site) -> None:
    """Noise is beyond nearly all usual pictures, held-out digits are spread."""
    noise = site.column("outlier", [f"noise {number}.png" for number in range(10)])
    usual = site.column("outlier", [f"数字 {number}.png" for number in range(30)])
    assert (min(noise) > 0.9, 0.2 < sorted(usual)[15] < 0.8) == (True, True)


def test_a_picture_is_like_itself(site: Site, paths: list[str | None]) -> None:
    """Named by row: exactly 1; and two are as like each other whichever is named."""
    assert site.column("similarity", paths, to=paths) == [1.0] * len(paths)
    one, other = paths[0], paths[-1]
    assert site.column("similarity", [one], to=[other]) == site.column("similarity", [other], to=[one])


def test_the_similarity_is_the_cosine_of_the_embeddings(site: Site, paths: list[str | None]) -> None:
    """Computed from the column of embeddings."""
    vectors = np.array([json.loads(text) for text in site.column("embedding", paths)])
    unit = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    assert site.column("similarity", paths, to=paths[3]) == pytest.approx((unit @ unit[3]).tolist(), abs=2e-5)


@pytest.mark.parametrize("to", [*OTHERS, "", "broken.png", "../outside.png"])
def test_like_a_picture_that_is_none_is_null(site: Site, paths: list[str | None], to: str | None) -> None:
    """The status of the row is its own."""
    assert site.column("similarity", paths[:3], to=to) == [None] * 3
    answer = site.classify(paths[:3], ["similarity"], arguments={"to": to})
    assert answer["columns"] == {"similarity": [None] * 3, "status": ["ok"] * 3}


# ---- pictures that look the same ---------------------------------------------------------------------------------


def test_equal_pixels_have_one_key_and_others_another(site: Site, folder: Path, paths: list[str | None]) -> None:
    """In another format; and different pictures have different keys, or nearly."""
    from PIL import Image

    with Image.open(folder / "数字 0.png") as image:
        image.save(folder / "copy.bmp")
        image.convert("RGB").save(folder / "colour.tiff")
    keys = site.column("duplicate_group", ["数字 0.png", "copy.bmp", "colour.tiff"])
    assert len(set(keys)) == 1
    assert len(set(site.column("duplicate_group", paths))) > 0.95 * len(paths)


def test_a_key_hangs_on_no_model(options: Settings, engine: OnnxEngine, tmp_path: Path,
                                 whole: dict[str | None, tuple[Any, ...]]) -> None:
    """There need not be any; and the key is that of another server."""
    (tmp_path / "state").mkdir()
    (tmp_path / "none").mkdir()
    with ExitStack() as stack:
        bare = _open(stack, replace(options, state=tmp_path / "state", store=tmp_path / "none", model=None), engine)
        assert bare.column("duplicate_group", ["数字 3.png", None]) == [whole["数字 3.png"][5], None]


def test_uploads_have_keys_too(site: Site, folder: Path, whole: dict[str | None, tuple[Any, ...]]) -> None:
    """And places: the file is the same."""
    data = {"files": (io.BytesIO((folder / "数字 4.png").read_bytes()), "a.png"), "fields": "duplicate_group,map_x"}
    answer = site.client.post("/v1/classify", data=data).get_json()
    assert answer["columns"] == {"duplicate_group": [whole["数字 4.png"][5]], "map_x": [whole["数字 4.png"][0]],
                                 "status": ["ok"]}


def test_a_key_on_its_way_is_pending(watched: WatchedEngine, options: Settings, tmp_path: Path) -> None:
    """Whoever asks for the label and the key of a row learns that one of them is missing."""
    with ExitStack() as stack:
        one = _open(stack, replace(options, state=tmp_path), watched)
        one.column("label", ["数字 0.png"])
        answer = one.classify(["数字 0.png"], ["label", "duplicate_group"], deadline_s=0)
        assert (answer["columns"]["duplicate_group"], answer["columns"]["status"], answer["pending"]) \
            == ([None], ["pending"], 1)
        assert answer["columns"]["label"] != [None]


# ---- no reference, or a damaged one ------------------------------------------------------------------------------


def _without(version: ModelVersion, store: Path) -> Path:
    """The shipped version as if it had been made without a reference."""
    folder = store / "digits" / "1"
    shutil.copytree(version.folder, folder)
    content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    del content["files"][REFERENCE_FILE]
    (folder / "model.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_without_a_reference_the_columns_are_null_and_the_note_says_why(
    version: ModelVersion, options: Settings, engine: OnnxEngine, tmp_path: Path, site: Site
) -> None:
    """The status stays ok: the picture has its answer. What needs no reference goes on."""
    _without(version, tmp_path / "store")
    (tmp_path / "state").mkdir()
    with ExitStack() as stack:
        bare = _open(stack, replace(options, state=tmp_path / "state", store=tmp_path / "store"), engine)
        column: list[str | None] = ["数字 0.png", None]
        assert [bare.column(field, column) for field in PLACED] == [[None, None]] * 5
        assert bare.column("status", column)[0] == "ok"
        assert bare.column("note", column) == [NO_REFERENCE, None]
        assert bare.column("similarity", column, to="数字 0.png") == [1.0, None]
        assert bare.client.get("/v1/models/digits").get_json()["reference"] is None
    assert site.column("note", ["数字 0.png"]) == [None]


def test_the_card_says_what_a_model_answers_with(site: Site, reference: Reference) -> None:
    """Outputs, and the size, labels and clusters of its reference."""
    card = site.client.get("/v1/models/digits").get_json()
    assert card["outputs"] == {"probabilities": [10], "embedding": [56], "map": [8, 8, 56]}
    assert card["reference"] == {"pictures": 1295, "labels": list(digits.LABELS),
                                 "clusters": list(reference.cluster_names)}


@pytest.mark.parametrize("is_listed", [False, True])
def test_a_damaged_reference_is_told_at_opening(version: ModelVersion, options: Settings, engine: OnnxEngine,
                                                tmp_path: Path, is_listed: bool) -> None:
    """Overwritten after it was made, or made wrongly: the version does not open, and says which file."""
    folder = tmp_path / "store" / "digits" / "1"
    shutil.copytree(version.folder, folder)
    (folder / REFERENCE_FILE).write_bytes(b"PK damaged")
    if is_listed:
        content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        content["files"][REFERENCE_FILE] = file_digest(folder / REFERENCE_FILE)
        (folder / "model.json").write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "state").mkdir()
    with ExitStack() as stack:
        one = _open(stack, replace(options, state=tmp_path / "state", store=tmp_path / "store"), engine)
        answer = one.client.post("/query/image_label", json={"data": {"paths": ["数字 0.png"]}})
        assert answer.status_code == 503
        assert REFERENCE_FILE in answer.get_json()["error"]["message"]
