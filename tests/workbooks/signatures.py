"""The functions as a TabPy of ours has them, for tests that need no TabPy."""

from __future__ import annotations

from server.functions import FUNCTIONS
from workbooks.check.endpoints import Deployed, Signature

DEPLOYED = Deployed(
    {
        name: Signature(name, function.parameters, function.required, function.returns)
        for name, function in FUNCTIONS.items()
    },
    evaluates=True,
)
