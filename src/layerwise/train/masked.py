"""The masked-language model of a checkpoint: which tokens it expects in place of masks (Devlin et al. 2019, §3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

from layerwise.errors import ModelError, SourceError
from layerwise.models.anatomy import dissect
from layerwise.models.engine import token_types
from layerwise.models.heads import load_with_head
from layerwise.models.locate import ModelFiles
from layerwise.models.memory import within_memory
from layerwise.models.removed_heads import take_out_heads
from layerwise.models.tokenization import Tokenization, longest_window
from layerwise.reports.answers import FilledMask
from layerwise.text.batching import padded
from layerwise.train.batches import TokenBatches
from layerwise.train.data import Skipped
from layerwise.train.predictor import autocast
from layerwise.train.tasks.example import Feature, batched
from layerwise.types import TextRecord


class MaskFiller:
    """Fills the masks of texts.

    Attributes:
        mask: how a mask is written.
    """

    def __init__(
        self, files: ModelFiles, kind: str, device: torch.device, precision: str, batch_tokens: int, top: int
    ) -> None:
        self._model, self._tokenizer = load_with_head(files, kind)
        take_out_heads(self._model.base_model)
        if self._tokenizer.mask_token is None:
            raise ModelError(f"the tokenizer of {files.name!r} has no mask token: there is nothing to fill.")
        self.mask = str(self._tokenizer.mask_token)
        longest = longest_window(
            dissect(self._model.base_model, self._model.config).max_positions, self._tokenizer
        )
        self._longest = longest
        self._tokenization = Tokenization(self._tokenizer, longest, align=False, long_text="truncate")
        pad = self._tokenizer.pad_token_id or 0
        self._batches = TokenBatches(pad, token_types(self._model))
        self._model.to(device).eval()
        self._device, self._precision, self._batch_tokens, self._top = device, precision, batch_tokens, top

    def __call__(self, records: Iterable[TextRecord], skipped: Skipped) -> Iterator[FilledMask]:
        """One for each text, in order.

        Raises:
            SourceError: a text has no mask, or one beyond the longest text of the model, and may not be left out.
        """
        first = 0
        for piece in batched(records, 256):
            kept: list[tuple[TextRecord, Feature]] = []
            for record in piece:
                try:
                    kept.append((record, self._feature(record, first + len(kept))))
                except SourceError as error:
                    skipped(error)
            features = [feature for _, feature in kept]
            filled: list[Any] = [None] * len(kept)
            for rows in padded([len(one) for one in features], self._batch_tokens):
                for row, masks in zip(rows, self._fill([features[row] for row in rows]), strict=True):
                    filled[row] = masks
            for number, ((record, _), masks) in enumerate(zip(kept, filled, strict=True), first):
                yield FilledMask(number, record.id, record.text, masks)
            first += len(kept)

    def _feature(self, record: TextRecord, number: int) -> Feature:
        [encoded] = self._tokenization.encode([record], number)
        window = encoded.sequences[0]
        places = np.flatnonzero(window.input_ids == self._tokenizer.mask_token_id)
        if not len(places):
            where = record.place or f"text {number}"
            cut = f", within the {self._longest} tokens that the model takes" if encoded.num_truncated else ""
            raise SourceError(
                f"{where}: there is no {self.mask} in {record.text[:40]!r}{cut}; expected one where a token is to be found."
            )
        return Feature(window.input_ids, window.token_type_ids, places)

    def _fill(self, features: list[Feature]) -> list[tuple[tuple[tuple[str, float], ...], ...]]:
        inputs = {name: value.to(self._device) for name, value in self._batches(features).items()}
        with within_memory(self._device, "lower --batch-tokens"), torch.inference_mode():
            with autocast(self._device, self._precision):
                output = self._model(**inputs)
            logits = output["logits"] if "logits" in output else output["prediction_logits"]
            found = []
            special = torch.tensor(self._tokenizer.all_special_ids, device=logits.device)
            for row, one in zip(logits, features, strict=True):
                shares = row[torch.from_numpy(one.places).to(row.device)].float().softmax(-1)
                shares[:, special] = 0.0  # [UNK] and its like fill nothing
                best = shares.topk(min(self._top, shares.shape[-1]))
                found.append(tuple(map(self._tokens, best.indices.tolist(), best.values.tolist())))
        return found

    def _tokens(self, ids: list[int], shares: list[float]) -> tuple[tuple[str, float], ...]:
        tokens = self._tokenizer.convert_ids_to_tokens(ids)
        return tuple(zip(tokens, shares, strict=True))
