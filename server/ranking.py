"""A model's answer in its stored form: class indices by falling probability, and the probabilities as float16.

Everything an analyst asks for (label, margin, entropy, ...) is computed from this form, whether the answer is a second
or a year old, so the same picture always gets the same value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FULL_UP_TO = 128
"""Up to this many classes all probabilities are kept; beyond it the top 32, and the rest counts as spread evenly."""
TOP = 32
_CLASS_BITS = 16  # as many as `order` has


def kept_ranks(classes: int) -> int:
    """How many ranks are kept of `classes`."""
    return classes if classes <= FULL_UP_TO else TOP


@dataclass(frozen=True, slots=True)
class Rankings:
    """Answers for N pictures: `order` uint16 (N, K), classes by falling probability; `probabilities` float16 (N, K)."""

    order: NDArray[np.uint16]
    probabilities: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.order)

    def pack(self) -> list[bytes]:
        """One bytes value a picture, for the store."""
        return [ranks.tobytes() + values.tobytes()
                for ranks, values in zip(self.order, self.probabilities, strict=True)]

    @classmethod
    def empty(cls, kept: int) -> Rankings:
        """No pictures."""
        return cls(np.empty((0, kept), np.uint16), np.empty((0, kept), np.float16))

    @classmethod
    def unpack(cls, packed: list[bytes], kept: int) -> Rankings:
        """The inverse of `pack`; raises ValueError where a value has another length than `kept` ranks need."""
        words = np.frombuffer(b"".join(packed), np.uint16).reshape(len(packed), 2 * kept)
        return cls(words[:, :kept].copy(), words[:, kept:].copy().view(np.float16))

    @classmethod
    def of(cls, probabilities: NDArray[np.float32]) -> Rankings:
        """From a model's probabilities float32 (N, C), none below zero; equal ones keep the order of the labels.

        The bits of floats above zero sort as the floats do, so value and class number make one whole number: no two are
        equal, and 1,000 classes need no full sort, which would hold the interpreter lock a quarter millisecond a batch.
        """
        classes = probabilities.shape[1]
        kept = kept_ranks(classes)
        bits = (probabilities + np.float32(0)).view(np.int32).astype(np.int64)  # + 0: there is no minus zero
        keys = (bits << _CLASS_BITS) | np.arange(classes - 1, -1, -1)
        if kept < classes:
            keys = np.partition(keys, classes - kept, axis=1)[:, classes - kept:]
        keys = np.sort(keys, axis=1)[:, ::-1]
        order = classes - 1 - (keys & (2**_CLASS_BITS - 1))
        values = (keys >> _CLASS_BITS).astype(np.int32).view(np.float32)
        return cls(order.astype(np.uint16), values.astype(np.float16))
