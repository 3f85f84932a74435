"""A JSON file of a labelling tool as a listing, told apart by its content."""

from __future__ import annotations

from pathlib import Path

from models.data.entries import Finds, Listing
from models.data.label_studio import is_label_studio, list_label_studio
from models.data.reading import Wishes, json_of
from models.data.vott import list_vott
from models.errors import DataError

_WISH = "expected a VoTT project or export, or a Label Studio export (JSON)"


def list_json(path: Path, wishes: Wishes) -> Listing:
    """What VoTT or Label Studio wrote; raises `DataError` for other JSON."""
    finds = Finds()
    content = json_of(path, finds)
    if is_label_studio(content):
        return list_label_studio(path, content, wishes, finds)
    if isinstance(content, dict) and {"assets", "asset", "frames"} & content.keys():
        return list_vott(path, content, wishes, finds)
    if isinstance(content, list) and content and isinstance(content[0], dict) and "annotator" in content[0]:
        raise DataError(f"{path}: is Label Studio's JSON-MIN; export as JSON instead.")
    if isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys():
        raise DataError(f"{path}: is a COCO file; {_WISH}.")
    raise DataError(f"{path}: is JSON of another kind; {_WISH}.")
