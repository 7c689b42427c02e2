"""Before any test: shapes in signatures are checked at run time, and hypothesis does not flake."""

from __future__ import annotations

from hypothesis import settings
from jaxtyping import install_import_hook

# A shape in a signature is a claim; in tests each call checks it. The hook rewrites modules as they
# are imported, so it has to be here: pytest reads this file before any test imports `layerwise.ops`.
install_import_hook("layerwise.ops", "beartype.beartype")

# A slow or busy machine is no bug (no deadline), and the same commit must always give the same
# verdict (the same examples each time, none remembered from an earlier run).
settings.register_profile("layerwise", deadline=None, derandomize=True, database=None)
settings.load_profile("layerwise")
