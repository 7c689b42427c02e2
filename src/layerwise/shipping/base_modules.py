"""What a base model brings for sentence-transformers beside its encoder, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from layerwise.shipping.sentence_transformers_layout import MODES

_OURS = {
    **{key: pooling for pooling, key in MODES.items()},  # as its versions before 6 write it
    **{key.split("_")[2]: pooling for pooling, key in MODES.items()},  # `mean`, `cls`, `lasttoken`
}
"""sentence-transformers' names of a pooling to ours."""


@dataclass(frozen=True, slots=True)
class BaseModules:
    """The modules and settings of a base model's folder.

    Attributes:
        trained: names of modules that are neither encoder, pooling nor scaling (`Dense`).
        pooling: of its texts, in our names; empty if there is none that we know.
        prompts: name to what is put before a text.
        default_prompt: what is put before every text unless another is asked for.
        lowers: whether texts are put in lower case before they reach the tokenizer.
    """

    trained: tuple[str, ...] = ()
    pooling: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str = ""
    lowers: bool = False

    def notes(self, pooling: str) -> list[str]:
        """What differs in a folder shipped with `pooling`."""
        said = []
        if self.trained:
            said.append(
                f"the base model's own modules behind its pooling ({', '.join(self.trained)}) are not in the folder: "
                "they were trained for its last layer."
            )
        if self.pooling not in ("", pooling):
            said.append(f"the base model's own pooling is {self.pooling}, and the folder's is {pooling}.")
        if self.default_prompt:
            said.append(
                f"sentence-transformers puts {self.default_prompt!r} before every text of the base model, and before "
                "none of the folder's unless asked (prompt_name=…): the layer was compared without."
            )
        if self.lowers:
            said.append(
                "sentence-transformers puts the base model's texts in lower case, and the folder's not: do so yourself."
            )
        return said


def read_base_modules(folder: Path) -> BaseModules:
    """Read a model's folder; a file that is not there, or is no JSON, says nothing."""
    modules = _read(folder / "modules.json")
    settings = _read(folder / "config_sentence_transformers.json")
    listed = [one for one in modules if isinstance(one, dict)] if isinstance(modules, list) else []
    names = [str(one.get("type")).rpartition(".")[2] for one in listed]
    poolings = [one.get("path") for one, name in zip(listed, names, strict=True) if name == "Pooling"]
    prompts = _mapping(_mapping(settings).get("prompts"))
    prompts = {name: text for name, text in prompts.items() if isinstance(text, str) and text}
    return BaseModules(
        tuple(name for name in names if name not in ("Transformer", "Pooling", "Normalize")),
        _pooling(_mapping(_read(folder / str(poolings[0]) / "config.json"))) if len(poolings) == 1 else "",
        prompts,
        prompts.get(str(_mapping(settings).get("default_prompt_name")), ""),
        _mapping(_read(folder / "sentence_bert_config.json")).get("do_lower_case") is True,
    )


def _pooling(config: Mapping[str, Any]) -> str:
    chosen = config.get("pooling_mode") or [
        key for key, value in config.items() if key.startswith("pooling_mode_") and value is True
    ]
    names = [chosen] if isinstance(chosen, str) else list(chosen)
    return _OURS.get(str(names[0]), "") if len(names) == 1 else ""


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
