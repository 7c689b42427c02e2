"""The scores of a pretrained model on documents: masked tokens, and next sentences where it has a head for them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from layerwise.models.heads import load_with_head
from layerwise.models.load import config_of, quiet
from layerwise.models.locate import ModelFiles
from layerwise.models.packed_pretraining import BertForPreTraining
from layerwise.train.data import Skipped
from layerwise.train.masking import Masking
from layerwise.train.pretraining.batches import Frame
from layerwise.train.pretraining.corpus import Corpus, prepare
from layerwise.train.pretraining.held_out import HeldOut
from layerwise.train.pretraining.remarks import remarks
from layerwise.train.subject import MaskedSubject
from layerwise.train.tasks.example import DataColumns

METRIC = "masked_accuracy"
MAX_LENGTH = 128


def pretraining_scores(
    files: ModelFiles,
    kind: str,
    data: Sequence[str],
    columns: DataColumns,
    skipped: Skipped,
    device: torch.device,
    precision: str,
    progress: Callable[[str], None] = lambda text: None,
) -> tuple[dict[str, float], int, list[str]]:
    """Scores, the number of masked tokens they are of, and what one should know of the data.

    A model with both heads of BERT is scored on pairs of sentences of all documents, each source apart; another one on
    texts, a line or row each. Masks are the same each time.

    Raises:
        ModelError: the model cannot be loaded, or its heads were never trained.
        SourceError: the data cannot be read, or holds too little.
    """
    if kind == "masked" or config_of(files).model_type != "bert":
        subject = MaskedSubject(files, kind, data, columns, skipped)
        subject.model.to(device)
        return subject.scores(), sum(len(one.places) for one in subject.features), subject.notes()
    checked, tokenizer = load_with_head(files, kind)
    with quiet():
        model = BertForPreTraining.new(checked.config)
    model.load_state_dict(checked.state_dict())
    longest = min(MAX_LENGTH, int(model.config.max_position_embeddings))
    notes = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "corpus"
        prepare(
            list(data),
            tokenizer,
            folder,
            format=columns.format,
            text_column=columns.text,
            longest=longest - 3,
            report=progress,
            skipped=skipped,
        )
        corpus = Corpus.load(folder)
        groups = [list(range(part.first, part.last)) for part in corpus.parts]
        frame = Frame(tokenizer.cls_token_id, tokenizer.sep_token_id)
        scorer = HeldOut(corpus, groups, longest, frame, Masking.of(tokenizer, whole_words=False), most=None)
        torch.nn.Module.to(model, device)
        scores = scorer.scores(model, device, precision, progress)
        kinds = scorer.random_next
        notes += remarks(corpus, tokenizer.unk_token_id, len(kinds), sum(kinds))
    first = scorer.names[0]
    if len(scorer.names) == 1:
        scores = {name.removesuffix(f"_{first}"): value for name, value in scores.items()}
    else:
        right = sum(scores[f"{METRIC}_{name}"] * number for name, number in scorer.masked.items())
        scores = {METRIC: right / sum(scorer.masked.values()), **scores}
    wanted = ("masked_accuracy", "perplexity", "nsp_accuracy")
    kept = {name: value for name, value in scores.items() if name.startswith(wanted)}
    return {METRIC: kept[METRIC], **kept}, sum(scorer.masked.values()), notes
