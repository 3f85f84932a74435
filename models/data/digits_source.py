"""`sklearn:digits`: the handwritten digits that come with scikit-learn, with the split that the shipped model has."""

from __future__ import annotations

from models import digits
from models.data.entries import TEST, TRAIN, Entry, Listing, Row

DIGITS = "sklearn:digits"


def list_digits() -> Listing:
    """All 1,797 pictures; the test part is what the shipped `digits` was never trained on."""
    data = digits.load()
    entries = tuple(Entry(digits.file_name(row), digits.LABELS[int(label)], Row(data.pixels, row),
                          part=TEST if data.is_held_out[row] else TRAIN) for row, label in enumerate(data.classes))
    return Listing(DIGITS, entries, labels=digits.LABELS)
