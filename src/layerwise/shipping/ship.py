"""`ship`: one layer of a model as a folder that sentence-transformers, transformers and layerwise load."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from layerwise.errors import UsageError
from layerwise.models import cut, onnx_export
from layerwise.models.embedded import MINILM_SHA256
from layerwise.models.encoder import Encoder
from layerwise.models.fitted import fitting_probe, fitting_projection
from layerwise.models.shipped import FORMAT_VERSION, NAME, read_shipped
from layerwise.ops.fitted_file import is_number
from layerwise.ops.linear_probe import LinearProbe
from layerwise.ops.projection import Projection
from layerwise.reports.shipping import Shipment
from layerwise.shipping.base_modules import read_base_modules
from layerwise.shipping.card import UNKNOWN_LICENSE, license_of, model_card
from layerwise.shipping.companions import PROBE, ship_probe, ship_projection
from layerwise.shipping.sentence_transformers_layout import shipped_pooling, write_modules
from layerwise.shipping.target import refuse, whole_folder
from layerwise.shipping.verify import LOOKS_AT_PADDING, PROBES, verify
from layerwise.types import Layer
from layerwise.version import __version__

_MINILM_NAME = "sentence-transformers/all-MiniLM-L6-v2"


def ship(
    model: str | Encoder,
    output: str | Path,
    *,
    layer: int | str,
    pooling: str | None = None,
    projection: str | Path | Projection | None = None,
    probe: str | Path | LinearProbe | None = None,
    normalize: bool = False,
    license: str | None = None,
    onnx: bool = False,
    overwrite: bool = False,
    revision: str | None = None,
    allow_pickle: bool = False,
) -> Shipment:
    """Cut a model to the blocks that one layer needs, and write it as an ordinary model folder.

    The folder is read again before it gets its name, and its vectors are compared with the layer it
    was cut from: `SentenceTransformer(folder)`, `AutoModel` with the same pooling, and
    `Encoder.from_pretrained(folder)` give the same vectors (at most 1e-5 apart).

    Args:
        model: as for `Encoder.from_pretrained`, or an encoder in float32.
        output: the folder to write.
        layer: one layer: 1..N, negative numbers from the end, or `"final"`.
        pooling: of texts: `mean`, `max`, `cls`, `last_token`, or one of `..._with_special`. As
            sentence-transformers' own mean and max include special tokens, `mean` and `max` become
            `mean_with_special` and `max_with_special`. The default is the probe's or the
            projection's, else `mean`.
        projection: what `layerwise fit-projection` wrote; becomes the dense module.
        probe: what `layerwise probe --save` wrote; goes along for `layerwise predict`.
        normalize: add a module that scales vectors to length 1.
        license: of the base model, if its README.md does not name it.
        onnx: add `onnx/model.onnx`, compared with the model too.
        overwrite: replace a folder that an earlier `ship` wrote.

    Raises:
        UsageError: no such layer or pooling; the folder is there; projection or probe do not fit.
        ModelError: no cut of this model gives that layer; the message says why.
        MissingExtraError: with `onnx`, and its packages are not installed.
        LayerwiseError: the folder cannot be written.
    """
    if projection is not None and probe is not None:
        raise UsageError(
            "a projection and a probe were given: the probe reads the layer itself; choose one of them."
        )
    if onnx:
        onnx_export.require_onnx()
    encoder = model if isinstance(model, Encoder) else _load(model, revision, allow_pickle)
    if encoder.dtype != "float32":
        raise UsageError(f"the encoder is in {encoder.dtype}: load it with dtype='float32' to ship it.")
    target = Path(output)
    refuse(target, encoder.files.folder, overwrite)
    chosen = _one_layer(encoder, layer)
    mapped = None if projection is None else fitting_projection(projection, encoder, chosen)
    trained = None if probe is None else fitting_probe(probe, encoder, chosen)
    asked = pooling or _pooling_of(mapped, trained) or encoder.text_pooling
    blocks = cut.blocks_needed(encoder.engine, chosen, encoder.files.name)
    closes = encoder.tokenization(encoder.request(chosen, "text", pooling="mean")).closes_texts
    used, note = shipped_pooling(asked, closes)
    encoder.tokenization(encoder.request(chosen, "text", pooling=used))  # refuses `cls` where there is none
    notes = [note] if note else []
    if not encoder.engine.mixes_lengths:
        notes.append(LOOKS_AT_PADDING)
    notes += _tokenizer_notes(encoder)
    base = read_base_modules(encoder.files.folder)
    notes += base.notes(used)
    notes += [] if mapped is None else _projection_notes(mapped, used, encoder.max_length)
    with whole_folder(target, encoder.files.folder, overwrite) as folder:
        smaller, weights = cut.cut(encoder.loaded.model, blocks, encoder.loaded.missing)
        num_parameters = sum(weight.numel() for weight in weights.values())
        cut.save(encoder, smaller, weights, folder)
        write_modules(folder, encoder.hidden_size, encoder.max_length, used, mapped, normalize, base.prompts)
        document: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "layer": chosen,
            "pooling": used,
            "normalize": normalize,
            "cut_from": {
                **_base(encoder),
                "layer": chosen,
                "blocks": blocks,
                "num_hidden_layers": encoder.num_hidden_layers,
            },
            "architecture": type(smaller).__name__,
            "num_parameters": num_parameters,
            "hidden_size": encoder.hidden_size,
            "max_length": encoder.max_length,
            "license": license or license_of(encoder.files.folder) or UNKNOWN_LICENSE,
            "projection": None,
            "probe": None,
            "onnx": onnx,
            "versions": _versions(),
        }
        _write_settings(folder, document)
        found, error = verify(encoder, folder, chosen, used, mapped, normalize)
        document["layer"] = "final" if found.has_final else blocks
        document["weights_sha256"] = found.files.weights_sha256
        if mapped is not None:
            document["projection"] = ship_projection(folder, mapped, found, document["layer"])
        if trained is not None:
            document["probe"] = ship_probe(folder, trained, found, document["layer"])
            notes += _probe_notes(trained, used)
        if onnx:
            error = max(error, onnx_export.export(found, folder, PROBES))
        _write_settings(folder, document)
        (folder / "README.md").write_text(model_card(document, target.name, tuple(notes)), "utf-8")
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return Shipment(
        path=str(target),
        model=encoder.files.name,
        layer=chosen,
        blocks=blocks,
        num_hidden_layers=encoder.num_hidden_layers,
        pooling=used,
        size=mapped.dim if mapped is not None else encoder.hidden_size,
        normalize=normalize,
        error=error,
        bytes=size,
        probe=str(PROBE) if trained is not None else "",
        onnx="onnx/model.onnx" if onnx else "",
        license=document["license"],
        notes=tuple(notes),
    )


def _load(model: str, revision: str | None, allow_pickle: bool) -> Encoder:
    return Encoder.from_pretrained(model, revision=revision, device="cpu", allow_pickle=allow_pickle)


def _one_layer(encoder: Encoder, layer: int | str) -> Layer:
    selected = encoder.select(layer).layers
    if len(selected) != 1:
        raise UsageError(f"--layer {layer} selects {len(selected)} layers: a folder is shipped with one.")
    return selected[0]


def _pooling_of(projection: Projection | None, probe: LinearProbe | None) -> str | None:
    """What a companion was fitted on, if that is texts."""
    for one in (projection, probe):
        if one is not None and one.document.get("unit") == "text":
            return str(one.document["pooling"])
    return None


def _projection_notes(projection: Projection, pooling: str, max_length: int) -> list[str]:
    """How the vectors it was fitted on differ from the folder's."""
    document = projection.document
    fitted, said = document.get("pooling"), []
    if fitted != pooling:
        said.append(
            f"the projection was fitted on {fitted} vectors, and the folder's are {pooling}: what it keeps of the "
            f"variance and of the neighbours was measured on the former (fit one on a store of --pooling {pooling})."
        )
    window, windowed = document.get("max_length") or max_length, document.get("windowed_texts")
    if window != max_length:
        said.append(
            f"the projection was fitted on texts read with --max-length {window}, and the folder takes {max_length} "
            "tokens: longer texts have other vectors."
        )
    if document.get("long_text") != "truncate" and is_number(windowed) and windowed:
        said.append(
            f"the projection was fitted on texts of which {windowed:,} were read in several windows, and "
            "sentence-transformers cuts these (fit one on a store of --long-text truncate)."
        )
    if document.get("pairs") == "joint":
        said.append(
            "the projection was fitted on pairs of texts in one sequence (--pairs joint), and the folder's vectors are "
            "of single texts."
        )
    return said


def _tokenizer_notes(encoder: Encoder) -> list[str]:
    own, padding = encoder.tokenizer.pad_token, cut.padding_token(encoder)
    said = []
    if padding != own:
        lacks = (
            "has no padding token" if own is None else f"pads with {own!r}, which the model has no vector for"
        )
        said.append(
            f"the base model's tokenizer {lacks}; the folder's pads with {padding!r}: no vector depends on it."
        )
    if getattr(encoder.tokenizer, "truncation_side", "right") == "left":
        said.append(
            "the base model's tokenizer cuts a long text at its beginning, and the folder's at its end, as the layer "
            "was compared."
        )
    return said


def _probe_notes(probe: LinearProbe, pooling: str) -> list[str]:
    trained = probe.document["pooling"]
    if probe.document["unit"] == "text" and trained != pooling:
        return [
            f"the probe was trained on {trained} vectors: `layerwise predict` gives it those, while the folder's own "
            f"vectors are {pooling}."
        ]
    return []


def _base(encoder: Encoder) -> dict[str, Any]:
    """What the folder was cut from; of a local folder its name only, not where it lies."""
    name, files = encoder.files.name, encoder.files
    hub_name = _MINILM_NAME if files.weights_sha256 == MINILM_SHA256 else name if files.revision else None
    earlier = read_shipped(files.folder)  # a folder that was shipped before
    return {
        "model": hub_name or files.folder.name,
        "hub_name": hub_name,
        "revision": files.revision,
        "weights_sha256": files.weights_sha256,
        "tokenizer_sha256": encoder.tokenizer_sha256,
        "cut_from": None if earlier is None else earlier.document.get("cut_from"),
    }


def _versions() -> dict[str, str]:
    return {
        "layerwise": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "tokenizers")},
    }


def _write_settings(folder: Path, document: dict[str, Any]) -> None:
    (folder / NAME).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
