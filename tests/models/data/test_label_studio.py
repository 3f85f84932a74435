"""Label Studio's JSON export in the shape it writes: choices, rectangles in percent, uploads and local files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_pictures import image, write

from models.data.label_studio import picture_names
from models.data.loading import load
from models.data.reading import Wishes
from models.errors import DataError


def _task(
    number: int, picture: str, *answers: list[dict[str, Any]], key: str = "image", **more: Any
) -> dict[str, Any]:
    return {
        "id": number,
        "annotations": [
            {"id": 10 * number + place, "completed_by": 1, "result": result, "was_cancelled": False,
             "ground_truth": False,
             "created_at": "2024-03-09T22:16:08.728353Z", "updated_at": f"2024-03-09T22:16:0{place}.728378Z",
             "lead_time": 4.288, "prediction": {}, "result_count": len(result), "task": number, "project": 1,
             "parent_prediction": None, "parent_annotation": None} | more
            for place, result in enumerate(answers)],
        "drafts": [], "predictions": [], "data": {key: picture}, "meta": {}, "inner_id": number,
        "created_at": "2024-03-09T21:52:49.513742Z", "total_annotations": len(answers), "project": 1,
    }


def _choice(*labels: str) -> dict[str, Any]:
    return {"value": {"choices": list(labels)}, "id": "Dx_aB91ISN", "from_name": "choice", "to_name": "image",
            "type": "choices", "origin": "manual"}


def _rectangle(label: str, x: float, y: float, width: float, height: float, rotation: float = 0) -> dict[str, Any]:
    return {"original_width": 60, "original_height": 40, "image_rotation": 0, "id": "C7oHaRDVVC", "from_name": "label",
            "value": {"x": x, "y": y, "width": width, "height": height, "rotation": rotation,
                      "rectanglelabels": [label]},
            "to_name": "image", "type": "rectanglelabels", "origin": "manual"}


def _export(folder: Path, *tasks: dict[str, Any]) -> str:
    path = folder / "project-1-at-2024-03-10.json"
    path.write_text(json.dumps(list(tasks), ensure_ascii=False), encoding="utf-8")
    return str(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures of 60 x 40 pixels: 猫 0.png to 猫 3.png."""
    for index in range(4):
        write(tmp_path / "pictures" / f"猫 {index}.png", index, width=60, height=40)
    return tmp_path


UPLOAD = "/data/upload/3/1a2b3c4d-%E7%8C%AB%20{i}.png"
LOCAL = "/data/local-files/?d=pictures/%E7%8C%AB%20{i}.png"
ELSEWHERE = "https://studio.corp/data/upload/3/1a2b3c4d-%E7%8C%AB%20{i}.png"


@pytest.mark.parametrize("text", [UPLOAD, LOCAL, ELSEWHERE, "s3://bucket/a/猫 {i}.png", "pictures/猫 {i}.png"])
def test_choices_are_whole_pictures(folder: Path, text: str) -> None:
    """Uploads lose the prefix they were given, local files are below the document root."""
    tasks = [_task(i, text.format(i=i), [_choice("ab"[i % 2])]) for i in range(4)]
    data = load(_export(folder, *tasks))
    assert (data.labels, data.classes.tolist()) == (("a", "b"), [0, 1, 0, 1])
    is_found_by_name = not text.startswith(("pictures", "/data/local"))
    assert [problem.kind for problem in data.problems] == ["elsewhere"] * is_found_by_name


@pytest.mark.parametrize(("text", "expected"), [
    (LOCAL.format(i=1), ("pictures/猫 1.png",)),
    (UPLOAD.format(i=1), ("/data/upload/3/1a2b3c4d-猫 1.png", "猫 1.png")),
    ("https://a.b/c%20d.png?x=1", ("https://a.b/c d.png",)), ("a b.png", ("a b.png",)), ("100%.png", ("100%.png",)),
])
def test_names_in_a_task(text: str, expected: tuple[str, ...]) -> None:
    """What a text may mean."""
    assert picture_names(text) == expected


def test_rectangles_are_cut_out_of_percent(folder: Path) -> None:
    """Percent of the shown size to whole pixels; a choice about a region is not one about the picture."""
    about_region = _choice("unsure")
    about_region["value"] |= {"x": 10, "y": 10, "width": 5, "height": 5, "rotation": 0}
    tasks = [_task(i, LOCAL.format(i=i), [_rectangle("cat", 10, 25, 50, 50), _rectangle("dog", 50, 0, 100 / 3, 50),
                                          about_region]) for i in range(2)]
    data = load(_export(folder, *tasks), size=20)
    assert data.counts() == {"cat": 2, "dog": 2}
    expected = image(0, width=60, height=40).crop((30, 0, 50, 20))
    np.testing.assert_array_equal(data.pixels[1], np.asarray(expected))


def test_a_turned_rectangle_is_enclosed(folder: Path) -> None:
    """Turned by 90 degrees about its upper left corner, it lies to the left of it."""
    turned = _rectangle("cat", 50, 50, 100 / 3, 25, rotation=90)
    tasks = [_task(i, LOCAL.format(i=i), [turned, _rectangle("dog", 0, 0, 100 / 3, 50)]) for i in range(2)]
    data = load(_export(folder, *tasks), size=20)
    expected = image(0, width=60, height=40).crop((20, 20, 30, 40)).resize((20, 20), 2)
    np.testing.assert_array_equal(data.pixels[0], np.asarray(expected))


def test_annotators_are_heard(folder: Path) -> None:
    """The majority of several; ground truth before all; a cancelled answer is none; a tie is left out and said."""
    tasks = [
        _task(0, LOCAL.format(i=0), [_choice("a")], [_choice("b")], [_choice("a")]),
        _task(1, LOCAL.format(i=1), [_choice("b")], [_choice("a")]),
        _task(2, LOCAL.format(i=2), [_choice("b")]),
        _task(3, LOCAL.format(i=3), [_choice("a")], was_cancelled=True),
        _task(4, "pictures/猫 1.png", [_choice("a")], [_choice("b")], [_choice("b")]),
        _task(5, "pictures/猫 3.png", [_choice("a")], [_choice("a")]),
        _task(6, "pictures/猫 3.png", []),
    ]
    tasks[5]["annotations"][0] |= {"ground_truth": True}
    tasks[5]["annotations"][1]["result"] = [_choice("b")]
    data = load(_export(folder, *tasks))
    assert dict(zip(data.names, data.classes.tolist(), strict=True)) == {
        "task 0 (猫 0.png)": 0, "task 2 (猫 2.png)": 1, "task 4 (猫 1.png)": 1, "task 5 (猫 3.png)": 0}
    assert [str(problem) for problem in data.problems] == [
        "task 1 (猫 1.png): has several tags (a, b); one picture has one class here",
        "task 3: is not labelled", "task 6: is not labelled"]


def test_exports_before_version_1_have_completions(folder: Path) -> None:
    """The older name of annotations; the picture under a key of its own."""
    tasks = [_task(i, LOCAL.format(i=i), [_choice("ab"[i % 2])], key="photo") for i in range(4)]
    for task in tasks:
        task["completions"] = task.pop("annotations")
        task["data"]["comment"] = "none."
    with pytest.raises(DataError, match="which of photo, comment is the picture"):
        load(_export(folder, *({**task, "data": task["data"] | {"comment": "a.b"}} for task in tasks)))
    assert len(load(_export(folder, *tasks), wishes=Wishes(image_column="photo"))) == 4


def test_odd_tasks_are_left_out_and_named(folder: Path) -> None:
    """A broken shape, a missing picture, a rectangle without area."""
    tasks = [_task(i, LOCAL.format(i=i), [_choice("ab"[i % 2])]) for i in range(4)]
    broken = _task(7, LOCAL.format(i=0), [{"type": "choices", "value": {}}])
    name = "/data/upload/3/1a2b3c4d-gone.png"
    gone = _task(8, name, [_choice("a")])
    flat = _task(9, LOCAL.format(i=0), [_rectangle("a", 5, 5, 0, 5)])
    data = load(_export(folder, *tasks, broken, gone, flat))
    assert [str(problem) for problem in data.problems] == [
        "task 5: is not as Label Studio writes it (KeyError: 'choices')",
        f"task 8 ({Path(name).name}): there is no picture {name}, and not just one of that name here",
        "task 9 (猫 0.png): a region without area is none"]


def test_json_min_is_refused_with_the_remedy(folder: Path) -> None:
    """Its shape hangs on the project's configuration."""
    path = folder / "min.json"
    path.write_text(json.dumps([{"image": "a.png", "id": 1, "choice": "a", "annotator": 1, "annotation_id": 1}]))
    with pytest.raises(DataError, match="JSON-MIN; export as JSON instead"):
        load(str(path))
