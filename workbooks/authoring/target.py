"""The two forms of a workbook: what Tableau 2024.2 to 2025.x opens (newer ones do, too), and that of 2026.1 on.

Tableau checks a workbook against the features its manifest names: an element of a feature that is not named is refused
("no declaration found for element"), and so is a name that a build does not know. From 2026.1 on, one element says that
the version's whole schema holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_ALWAYS = ("AccessibleZoneTabOrder", "AnimationOnByDefault", "AutoCreateAndUpdateDSDPhoneLayouts", "MarkAnimation",
           "ObjectModelEncapsulateLegacy", "ObjectModelTableType", "SchemaViewerObjectModel", "SetMembershipControl",
           "SheetIdentifierTracking", "WindowsPersistSimpleIdentifiers", "ZoneFriendlyName")
FEATURES = {"edit-parameter-action": "ParameterAction", "clear-option": "ParameterActionClearSelection",
            "computed-sort": "SortTagCleanup"}
"""Element -> the feature that must be named where it occurs."""


@dataclass(frozen=True, slots=True)
class Target:
    """A form: `version` of the workbook and its data sources, the build that is said to have written it."""

    name: str
    version: str
    build: str
    has_explain_data: bool

    def manifest(self, elements: Iterable[str]) -> list[str]:
        """The names in the manifest of a workbook in which these elements occur, in order."""
        if self.has_explain_data:
            return ["ManifestByVersion"]
        return sorted({*_ALWAYS, *(FEATURES[element] for element in elements if element in FEATURES)})


TARGETS = {target.name: target for target in (
    Target("2024.2", "18.1", "2025.1.10 (20251.25.1121.1650)", has_explain_data=False),
    Target("2026.1", "26.1", "2026.1.1 (20261.26.0410.0924)", has_explain_data=True),
)}
"""What `--tableau` takes."""
