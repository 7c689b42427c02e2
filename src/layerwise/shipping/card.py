"""The model card, README.md, with front matter as the Hugging Face Hub reads it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from layerwise.reports.probing import Score
from layerwise.reports.verdict import METRIC_NAMES, shown, spread
from layerwise.shipping.sentence_transformers_layout import MODES

UNKNOWN_LICENSE = "unknown: see the base model"

_IDENTIFIER = re.compile(r"[a-z][a-z0-9.+-]*")
"""What the Hub takes for a licence, and YAML for a string, but for the words below."""

_NO_STRINGS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")

_POOLED = {
    "mean_with_special": "the mean over all tokens, special ones included",
    "max_with_special": "the largest value of each dimension over all tokens, special ones included",
    "cls": "the special token that opens the text",
    "last_with_special": "the last token, special ones included",
}
_BY_HAND = {
    "mean_with_special": "(hidden * mask).sum(1) / mask.sum(1)",
    "max_with_special": 'hidden.masked_fill(mask == 0, float("-inf")).amax(1)',
    "cls": "hidden[:, 0]",
    "last_with_special": "hidden[torch.arange(len(hidden)), mask[..., 0].sum(1) - 1]",
}
assert _POOLED.keys() == _BY_HAND.keys() == MODES.keys()


def license_of(folder: Path) -> str | None:
    """The licence that a model's README.md names in its front matter; None if it names none.

    Of several, all, with commas between; of "other", the license_name that comes with it.
    """
    from huggingface_hub import metadata_load

    path = folder / "README.md"
    try:
        front: Mapping[str, Any] = (metadata_load(path) if path.is_file() else None) or {}
    except Exception:  # foreign YAML: a front matter that nobody can read names no licence
        return None
    license = front.get("license")
    if license == "other":
        license = front.get("license_name") or license
    names = license if isinstance(license, list) else [license]
    return ", ".join(" ".join(name.split()) for name in names if isinstance(name, str)) or None


def model_card(document: Mapping[str, Any], name: str, notes: tuple[str, ...]) -> str:
    """The card of a shipped folder.

    Args:
        document: that of layerwise.json.
        name: of the folder.
        notes: what a user should know before trusting the vectors.
    """
    return "\n".join(
        (
            *_front_matter(document),
            "",
            f"# {name}",
            "",
            _cut_from(document),
            "",
            *_facts(document),
            *_scores(document),
        )
    ) + "\n".join(("", "", *_loading(document, name), *_remarks(notes), ""))


def _front_matter(document: Mapping[str, Any]) -> list[str]:
    license = document["license"]
    lines = ["---", "library_name: sentence-transformers", "pipeline_tag: sentence-similarity"]
    if license == UNKNOWN_LICENSE:
        pass  # the Hub takes identifiers only, and there is none to give
    elif _IDENTIFIER.fullmatch(license) and license not in _NO_STRINGS:
        lines.append(f"license: {license}")
    else:
        lines += ["license: other", f"license_name: {json.dumps(license, ensure_ascii=False)}"]
    if document["cut_from"]["hub_name"]:
        lines.append(f"base_model: {document['cut_from']['hub_name']}")
    tags = ("sentence-transformers", "feature-extraction", "sentence-similarity", "layerwise")
    return [*lines, "tags:", *(f"- {tag}" for tag in tags), "---"]


def _cut_from(document: Mapping[str, Any]) -> str:
    base = document["cut_from"]
    kept, number = base["blocks"], base["num_hidden_layers"]
    saved = (
        f"{(number - kept) / number:.0%} less compute in the blocks" if kept < number else "nothing is cut"
    )
    return (
        f"Layer {base['layer']} of `{base['model']}`{_before(base)}: {kept} of its {number} blocks ({saved}). "
        "The weights are the base model's own, not trained further. Made with `layerwise ship`."
    )


def _before(base: Mapping[str, Any]) -> str:
    """What the base model itself was cut from, if it was."""
    earlier = base.get("cut_from")
    if not earlier:
        return ""
    return f" (itself layer {earlier['layer']} of `{earlier['model']}`, sha256 `{earlier['weights_sha256']}`)"


def _facts(document: Mapping[str, Any]) -> list[str]:
    base, projection = document["cut_from"], document["projection"]
    size = f"{document['hidden_size']}"
    if projection is not None:
        size = f"{projection['dim']}, by a linear map ({projection['kind']}) from {size}"
        if projection.get("explained_variance") is not None:
            size += f" that keeps {projection['explained_variance']:.1%} of the variance"
        if projection.get("recall_at_10") is not None:
            size += f" and {projection['recall_at_10']:.1%} of the 10 nearest neighbours"
            if projection.get("held_out") is False:
                size += ", measured on rows that it was fitted on"
    rows = {
        "base model": f"`{base['model']}`" + (f", revision `{base['revision']}`" if base["revision"] else ""),
        "sha256 of its weights": f"`{base['weights_sha256']}`",
        "sha256 of these weights": f"`{document['weights_sha256']}`",
        "architecture": f"{document['architecture']}, {document['num_parameters']:,} parameters, float32",
        "pooling": f"{_POOLED[document['pooling']]} (`{document['pooling']}`)",
        "size of a vector": size,
        "scaled to length 1": "yes" if document["normalize"] else "no",
        "longest text": f"{document['max_length']} tokens, special ones included",
        "licence of the base model": document["license"],
        "made with": ", ".join(f"{name} {version}" for name, version in document["versions"].items()),
    }
    return ["| | |", "|---|---|", *(f"| {key} | {_cell(value)} |" for key, value in rows.items())]


def _cell(value: str) -> str:
    return " ".join(value.split()).replace("|", "\\|")


def _scores(document: Mapping[str, Any]) -> list[str]:
    probe = document["probe"]
    if probe is None:
        return []
    classes = ", ".join(" ".join(name.split()) for name in probe["classes"]) or "a number"
    lines = [
        "",
        "## Classifier",
        "",
        f"`probe.safetensors` is a linear probe for `{probe['label']}` ({probe['task']}, one label a "
        f"{probe['unit']}): {classes}. It reads layer {probe['layer']} pooled by `{probe['pooling']}`.",
    ]
    scores = probe.get("scores") or {}
    if scores:
        tested = (probe.get("parts") or {}).get("test")
        head = f"on {tested:,} test rows (95 % interval)" if tested else "on the test part (95 % interval)"
        rows = [
            f"| {METRIC_NAMES.get(name, name)} | {_score(name, value)} |" for name, value in scores.items()
        ]
        lines += ["", f"| score | {head} |", "|---|---|", *rows]
    folds = probe.get("folds")
    if scores and isinstance(folds, int) and folds > 1:
        lines += [
            "",
            f"The scores are those of {folds} other probes, each tested on rows that it had not seen; this one was "
            "trained on all rows. If the layer was chosen by these scores, it was chosen on these rows too.",
        ]
    return lines


def _score(name: str, value: float | Sequence[float]) -> str:
    """A score with its interval, as `layerwise probe` prints it; a lone number has none."""
    if isinstance(value, int | float):
        return shown(value, name)
    return spread(Score(*value), name)


def _loading(document: Mapping[str, Any], name: str) -> list[str]:
    layer, pooling = document["layer"], document["pooling"]
    spec = f'"{layer}"' if isinstance(layer, str) else str(layer)
    quoted = json.dumps(name, ensure_ascii=False)  # a literal of Python as well
    lines = [
        "## Loading it",
        "",
        "```python",
        "from sentence_transformers import SentenceTransformer",
        "",
        f'vectors = SentenceTransformer({quoted}).encode(["A text."])',
        "```",
        "",
        "```python",
        "import torch",
        "from transformers import AutoModel, AutoTokenizer",
        "",
        f"tokenizer, model = AutoTokenizer.from_pretrained({quoted}), AutoModel.from_pretrained({quoted})",
        'inputs = tokenizer(["A text."], padding=True, truncation=True, return_tensors="pt")',
        'mask = inputs["attention_mask"].unsqueeze(-1)',
        "with torch.inference_mode():",
        "    hidden = model(**inputs)[0]",
        f"vectors = {_BY_HAND[pooling]}",
        "```",
        "",
        "```python",
        "import layerwise",
        "",
        f"encoder = layerwise.Encoder.from_pretrained({quoted})",
        f'[states] = encoder.encode(["A text."], layers={spec}, unit="text")  # {pooling} is its default',
        f"vectors = states.layer({spec})",
        "```",
        "",
    ]
    missing = [
        what
        for what, there in (
            ("the projection", document["projection"]),
            ("the scaling", document["normalize"]),
        )
        if there
    ]
    if missing:
        lines += [f"The second and the third give vectors without {' and '.join(missing)}.", ""]
    lines += [
        "sentence-transformers cuts a text that is longer than the model; layerwise reads it in windows, unless "
        'told `long_text="truncate"`.'
    ]
    if document["probe"] is not None:
        lines += ["", "```bash", f"layerwise predict {shlex.quote(name)} texts.txt", "```"]
    return lines


def _remarks(notes: tuple[str, ...]) -> list[str]:
    return ["", "## Remarks", "", *(f"- {note}" for note in notes)] if notes else []
