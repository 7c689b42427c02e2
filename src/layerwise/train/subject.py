"""A model with data, and how good it is: a trained model by its scores, a masked-language model by its masks, a bare
encoder by how near its vectors stay to those it gave before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from layerwise.errors import SourceError, UsageError
from layerwise.models.anatomy import dissect
from layerwise.models.dropped_blocks import drop_blocks
from layerwise.models.engine import token_types
from layerwise.models.heads import kind_of_head, load_with_head
from layerwise.models.layered import LayeredModel
from layerwise.models.load import load, quiet
from layerwise.models.locate import ModelFiles
from layerwise.models.padding import settle
from layerwise.models.tokenization import Tokenization, longest_window
from layerwise.models.tokenizer_files import save_tokenizer
from layerwise.shipping.sentence_transformers_layout import copy_modules
from layerwise.text.batching import padded
from layerwise.text.sources import SourceOptions, Sources
from layerwise.train.batches import TokenBatches
from layerwise.train.data import Skipped, known_to, read_examples, texts_alone
from layerwise.train.folder import load_trained, read_document, save_trained
from layerwise.train.masking import Masking
from layerwise.train.predictor import Predictor
from layerwise.train.tasks.example import DataColumns, Feature
from layerwise.train.tasks.seq2seq import Generation
from layerwise.train.tasks.task import IGNORED, cut_note

BATCH_TOKENS, BEAMS = 2048, 4
Batch = dict[str, Tensor]


class Subject(ABC):
    """A model that is measured, and may be cut.

    Attributes:
        model: all of it. encoder: what has blocks.
        features, batches: of the data; empty without data.
        metric: the score that is printed first.
        higher_is_better: of it.
    """

    metric: str

    def __init__(self, model: Any, encoder: Any, collate: TokenBatches, features: Sequence[Feature]) -> None:
        self.model, self.encoder, self.collate, self.features = model, encoder, collate, features
        model.eval().requires_grad_(False)

    def batches(self) -> Iterator[Batch]:
        """The data, in batches of like length."""
        for rows in padded([len(one) for one in self.features], BATCH_TOKENS):
            yield self.collate([self.features[row] for row in rows])

    @property
    def tokens(self) -> int:
        return sum(len(one) for one in self.features)

    def mean_loss(self) -> float:
        """Over all labels (of a bare encoder, over all texts), without gradients."""
        total, count = 0.0, 0
        with torch.no_grad():
            for batch in self.batches():
                labels = batch.get("labels")
                own = len(batch["input_ids"]) if labels is None else int((labels != IGNORED).sum())
                total += float(self.loss(dict(batch))) * own
                count += own
        return total / count

    def forward(self, batch: Batch) -> Any:
        """One forward pass, for its time."""
        return self.model(**{name: value for name, value in batch.items() if name != "labels"})

    def require_droppable(self) -> None:  # noqa: B027
        """Refuse a model whose blocks cannot be dropped.

        Raises:
            UsageError: a head reads layers that would change their numbers.
        """

    def drop(self, numbers: Sequence[int]) -> None:
        """Drop blocks, numbered from 1.

        Raises:
            UsageError: there is no such block.
        """
        drop_blocks(self.encoder, numbers)

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Of one batch."""

    @abstractmethod
    def scores(self, run: Callable[..., Any] | None = None) -> dict[str, float]:
        """Quality on the data; `run` stands in for the model (an exported graph)."""

    @abstractmethod
    def notes(self) -> list[str]:
        """What one should know of the data."""

    @abstractmethod
    def save(self, folder: Path, document: dict[str, Any]) -> None:
        """Write the pruned model."""


class TrainedSubject(Subject):
    """What `finetune` wrote, or a checkpoint with a head for a task."""

    def __init__(
        self, files: ModelFiles, data: Sequence[str], columns: DataColumns, skipped: Skipped
    ) -> None:
        trained = load_trained(files)
        self.task, self.document = trained.task, trained.document
        self.examples = list(read_examples(type(self.task), data, columns, skipped)) if data else []
        self.examples = list(map(self.task.fitting, known_to(self.task, self.examples, skipped)))
        trained.look_at(self.examples)
        if isinstance(self.task, Generation):
            self.task.beams = BEAMS  # as `evaluate` has it
        self.groups = list(self.task.featurise(self.examples))
        self.metric = self.task.metric
        model = trained.model
        features = [one for group in self.groups for one in group]
        super().__init__(model, trained.encoder, trained.batches, features)
        if isinstance(model, LayeredModel):
            model.frozen = False  # gradients reach the gates

    def loss(self, batch: Batch) -> Tensor:
        labels = batch.pop("labels")
        outputs = self.model(**batch)
        return self.task.loss(outputs, labels)

    def require_droppable(self) -> None:
        if isinstance(self.model, LayeredModel) and len(self.model.layers) > 1:
            raise UsageError(
                "the head reads a mix of all layers, which has a share for each: blocks cannot be dropped under it; "
                "train it on a model with fewer blocks (finetune --layers), or prune heads."
            )

    def drop(self, numbers: Sequence[int]) -> None:
        super().drop(numbers)
        if isinstance(self.model, LayeredModel):
            last = int(self.encoder.config.num_hidden_layers)
            self.model.refit(("final",) if "final" in self.model.layers else (last,))

    def scores(self, run: Callable[..., Any] | None = None) -> dict[str, float]:
        model = self.model if run is None else _Stand(run)
        predictor = Predictor(model, self.task, self.collate, torch.device("cpu"), batch_tokens=BATCH_TOKENS)
        found = self.task.scores(self.examples, list(predictor.of_features(self.examples, self.groups)))
        return {self.metric: found[self.metric], **found}

    def notes(self) -> list[str]:
        return self.task.notes()

    def save(self, folder: Path, document: dict[str, Any]) -> None:
        if isinstance(self.model, LayeredModel):
            self.model.frozen = bool(self.document.get("frozen", True))
        save_trained(
            folder,
            self.model,
            self.task,
            {**self.document.get("training", {}), "pruning": document},
            str(self.document.get("base", "")),
        )


class _Stand(nn.Module):
    """A function in a model's place."""

    def __init__(self, run: Callable[..., Any]) -> None:
        super().__init__()
        self._run = run

    def forward(self, **inputs: Tensor) -> Any:
        return self._run(**inputs)


class _TextSubject(Subject):
    """A model on plain texts."""

    tokenizer: Any
    _cut, _longest = 0, 0

    def _features(
        self, encoder: Any, data: Sequence[str], columns: DataColumns, skipped: Skipped
    ) -> list[Feature]:
        if not data:
            return []
        self._longest = min(
            longest_window(dissect(encoder, encoder.config).max_positions, self.tokenizer), 512
        )
        tokenization = Tokenization(self.tokenizer, self._longest, long_text="truncate", align=False)
        options = SourceOptions(columns.text, format=columns.format, on_bad_row=skipped)
        records = [record for record in Sources(list(data), options).records() if record.text.strip()]
        features = []
        for one in tokenization.encode(records):
            self._cut += one.num_truncated > 0
            window = one.sequences[0]
            features.append(Feature(window.input_ids, window.token_type_ids, one.position))
        features = [one for one in features if len(one.places)]
        if not features:
            raise SourceError("the data holds no text with a token: expected some.")
        return features

    def notes(self) -> list[str]:
        return [cut_note(self._cut, self._longest)] if self._cut else []

    def save(self, folder: Path, document: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with quiet():
            self.model.save_pretrained(folder)
        save_tokenizer(self.tokenizer, folder, token_types(self.model) > 1)


class EncoderSubject(_TextSubject):
    """A bare encoder: its score is the mean cosine between the text vectors of now and of before."""

    metric = "cosine"

    def __init__(
        self, files: ModelFiles, data: Sequence[str], columns: DataColumns, skipped: Skipped
    ) -> None:
        loaded = load(files)
        self._folder = files.folder
        model, self.tokenizer = loaded.model, loaded.tokenizer
        features = self._features(model, data, columns, skipped)
        settle(model, model)
        collate = TokenBatches(self.tokenizer.pad_token_id or 0, token_types(model), True)
        super().__init__(model, model, collate, features)
        with torch.no_grad():
            self._before = [self._vectors(dict(batch)) for batch in self.batches()]
        self._place = 0

    def save(self, folder: Path, document: dict[str, Any]) -> None:
        super().save(folder, document)
        copy_modules(self._folder, folder)

    def _vectors(self, batch: Batch, run: Callable[..., Any] | None = None) -> Tensor:
        mask = batch.pop("pool_mask").float()
        hidden = self.model(**batch)[0] if run is None else run(**batch)["logits"]
        return torch.einsum("bt,bth->bh", mask / mask.sum(1, keepdim=True), hidden)

    def forward(self, batch: Batch) -> Any:
        return self.model(**{name: value for name, value in batch.items() if name != "pool_mask"})

    def loss(self, batch: Batch) -> Tensor:
        before = self._before[self._place % len(self._before)]
        self._place += 1
        return 1 - nn.functional.cosine_similarity(self._vectors(batch), before).mean()

    def scores(self, run: Callable[..., Any] | None = None) -> dict[str, float]:
        cosines = []
        with torch.no_grad():
            for batch, before in zip(self.batches(), self._before, strict=True):
                cosines.append(nn.functional.cosine_similarity(self._vectors(dict(batch), run), before))
        return {"cosine": float(torch.cat(cosines).mean())}


class MaskedSubject(_TextSubject):
    """A masked-language model: its score is the accuracy on masks that are the same before and after."""

    metric = "masked_accuracy"

    def __init__(
        self, files: ModelFiles, kind: str, data: Sequence[str], columns: DataColumns, skipped: Skipped
    ) -> None:
        model, self.tokenizer = load_with_head(files, kind)
        features = self._features(model.base_model, data, columns, skipped)
        masking = Masking.of(self.tokenizer, whole_words=False)
        for number, one in enumerate(features):
            draw = np.random.default_rng((0, number))
            places = masking.choose(one.input_ids, one.places, draw)
            one.target = one.input_ids[places]
            one.input_ids = masking.replace(one.input_ids, places, draw)
            one.places = places
        collate = TokenBatches(self.tokenizer.pad_token_id or 0, token_types(model))
        super().__init__(model, model.base_model, collate, features)

    def _logits(self, batch: Batch, run: Callable[..., Any] | None = None) -> tuple[Tensor, Tensor]:
        labels = batch.pop("labels")
        output = self.model(**batch) if run is None else run(**batch)
        logits = output["logits"] if "logits" in output else output["prediction_logits"]
        return logits[labels >= 0].float(), labels[labels >= 0]

    def loss(self, batch: Batch) -> Tensor:
        return nn.functional.cross_entropy(*self._logits(batch))

    def scores(self, run: Callable[..., Any] | None = None) -> dict[str, float]:
        right = total = loss = 0.0
        with torch.no_grad():
            for batch in self.batches():
                logits, labels = self._logits(dict(batch), run)
                right += float((logits.argmax(-1) == labels).sum())
                loss += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
                total += len(labels)
        return {"masked_accuracy": right / total, "perplexity": float(np.exp(min(loss / total, 700)))}


def subject_of(files: ModelFiles, data: Sequence[str], columns: DataColumns, skipped: Skipped) -> Subject:
    """The model with its data.

    Raises:
        ModelError: it cannot be loaded.
        SourceError: the data cannot be read.
        UsageError: a column was named that the model does not read.
    """
    kind = kind_of_head(files)
    if read_document(files) is not None or kind in ("sequence", "token", "question", "seq2seq"):
        return TrainedSubject(files, data, columns, skipped)
    columns = texts_alone(columns, files.name)
    if kind in ("masked", "pretraining"):
        return MaskedSubject(files, kind, data, columns, skipped)
    return EncoderSubject(files, data, columns, skipped)
