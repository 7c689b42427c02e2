"""Before any test: shapes in signatures are checked at run time, hypothesis does not flake, and Ctrl-C works."""

from __future__ import annotations

import signal

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

# A shape in a signature is a claim; in tests each call checks it. The hook rewrites modules as they
# are imported, so it has to be here: pytest reads this file before any test imports `layerwise.ops`.
install_import_hook("layerwise.ops", "beartype.beartype")

# A slow or busy machine is no bug (no deadline), and the same commit must always give the same
# verdict (the same examples each time, none remembered from an earlier run).
settings.register_profile("layerwise", deadline=None, derandomize=True, database=None)
settings.load_profile("layerwise")

# A shell starts what it runs in the background with Ctrl-C ignored, and what is ignored stays so, as the program
# respects: the tests that press it would wait in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _same_random_weights() -> None:
    """Weights that a test draws without a word do not depend on the tests before it."""
    torch.manual_seed(0)
