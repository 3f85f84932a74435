"""What can be wrong with a model version; every text says which, why, and where possible what to do.

    ModelError
    |-- SpecError              model.json says something that cannot be
    |-- UnknownModelError      a reference to which no usable version belongs
    |-- DamagedModelError      files that are not those that were written
    |-- DataError              a source of training pictures that cannot be read or trained on
    `-- GoldenMismatchError    decoding or the engine computes something else than when the version was made
"""

from __future__ import annotations


class ModelError(Exception):
    """A model version that cannot be used, or a request about models that cannot be met."""


class SpecError(ModelError):
    """A `model.json` that cannot be used; the text names the key, what it is and what was expected."""


class UnknownModelError(ModelError):
    """A reference to which no usable version belongs; the text lists what there is."""


class DamagedModelError(ModelError):
    """A version whose files are not those that were written."""


class GoldenMismatchError(ModelError):
    """What is computed here is not what the version's maker computed; the text names decoding or the engine."""


class DataError(ModelError):
    """A source of training pictures that cannot be read, or not be trained on; the text names it and the remedy."""
