"""sentence-transformers' list of modules, written without sentence-transformers.

The names of the modules and the keys of the pooling are those of its versions before 6, which the
later ones read as well, and which text-embeddings-inference knows and no others:
https://github.com/huggingface/text-embeddings-inference (backends/src/lib.rs, router/src/lib.rs).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file, save_file

from layerwise.errors import UsageError
from layerwise.ops.projection import Projection

MODES = {
    "mean_with_special": "pooling_mode_mean_tokens",
    "max_with_special": "pooling_mode_max_tokens",
    "cls": "pooling_mode_cls_token",
    "last_with_special": "pooling_mode_lasttoken",
}
"""Our pooling to its key in 1_Pooling/config.json."""

_ALL_MODES = (
    "pooling_mode_cls_token",
    "pooling_mode_mean_tokens",
    "pooling_mode_max_tokens",
    "pooling_mode_mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens",
    "pooling_mode_lasttoken",
)


def shipped_pooling(asked: str, closes: bool) -> tuple[str, str]:
    """The pooling of the folder for one asked for, and what is to be said about it (or nothing).

    Args:
        closes: whether the tokenizer puts a special token behind a text.

    Raises:
        UsageError: sentence-transformers cannot pool like that, or there is no such pooling.
    """
    if asked in MODES:
        return asked, ""
    if asked in ("mean", "max"):
        return f"{asked}_with_special", (
            f"sentence-transformers' {asked} includes the special tokens, so the folder's pooling is "
            f"{asked}_with_special; {asked} as `layerwise extract` computes it leaves them out."
        )
    if asked == "last_token":
        if closes:
            raise UsageError(
                "the pooling 'last_token' cannot be shipped: sentence-transformers takes the special token that "
                "closes a text; choose last_with_special for that one, or mean, max or cls."
            )
        return "last_with_special", ""
    raise UsageError(f"unknown pooling {asked!r}: choose one of mean, max, last_token, {', '.join(MODES)}.")


def write_modules(
    folder: Path,
    hidden_size: int,
    max_length: int,
    pooling: str,
    projection: Projection | None,
    normalize: bool,
    prompts: Mapping[str, str],
) -> None:
    """Write everything beside the encoder itself.

    Args:
        prompts: of the base model, to be asked for by name; none is the default.
    """
    modules = [("Transformer", ""), ("Pooling", "1_Pooling")]
    if projection is not None:
        modules.append(("Dense", "2_Dense"))
        _write_dense(folder / "2_Dense", projection)
    if normalize:
        modules.append(("Normalize", f"{len(modules)}_Normalize"))  # it has no settings, and no folder
    _write(
        folder / "modules.json",
        [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{name}"}
            for i, (name, path) in enumerate(modules)
        ],
    )
    _write(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    _write(
        folder / "config_sentence_transformers.json",
        {
            "__version__": {"pytorch": torch.__version__, "transformers": version("transformers")},
            "model_type": "SentenceTransformer",
            "prompts": dict(prompts),
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    )
    (folder / "1_Pooling").mkdir()
    _write(
        folder / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": hidden_size,
            **{mode: mode == MODES[pooling] for mode in _ALL_MODES},
            "include_prompt": True,
        },
    )


def copy_modules(base: Path, folder: Path) -> None:
    """Copy what stands behind an encoder in a folder of sentence-transformers, if it is one: list, modules, settings."""
    listed = base / "modules.json"
    if not listed.is_file():
        return
    for name in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"):
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)
    for module in json.loads(listed.read_text("utf-8")):
        path = str(module.get("path") or "")
        if path and Path(path).name == path and (base / path).is_dir():
            shutil.copytree(base / path, folder / path)


def _write_dense(folder: Path, projection: Projection) -> None:
    """z = Pᵀ(h − μ) as a linear layer: weight Pᵀ, bias −Pᵀμ."""
    size, dim = projection.matrix.shape
    folder.mkdir()
    save_file(
        {"linear.weight": np.ascontiguousarray(projection.matrix.T), "linear.bias": projection.bias},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    _write(
        folder / "config.json",
        {
            "in_features": size,
            "out_features": dim,
            "bias": True,
            "activation_function": "torch.nn.modules.linear.Identity",
        },
    )


def behind_pooling(folder: Path, pooled: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """What the modules in a folder that stand behind its pooling make of vectors (texts, size), in float64."""
    vectors = pooled.astype(np.float64)
    for module in json.loads((folder / "modules.json").read_text("utf-8"))[2:]:
        if module["type"].endswith(".Dense"):
            weights = load_file(folder / module["path"] / "model.safetensors")
            vectors = vectors @ weights["linear.weight"].T.astype(np.float64) + weights["linear.bias"]
        else:  # Normalize, with the eps of torch.nn.functional.normalize
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors


def _write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
