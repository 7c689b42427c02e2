"""What has to be there before the first step: the vocabulary, and the corpus as token ids."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from layerwise.errors import LayerwiseError, SourceError
from layerwise.train.pretraining.corpus import prepare, read_documents
from layerwise.train.pretraining.shape import Shape
from layerwise.train.run_folder import claim
from layerwise.train.vocabulary import train_vocabulary

TOKENIZER = "tokenizer"
CORPUS = "corpus"
VOCABULARY_CHARACTERS = 60_000_000
"""Characters that the vocabulary is trained on at most, in equal shares of the sources."""


def make_ready(
    folder: Path,
    document: dict[str, Any],
    resume: bool,
    sources: list[str],
    form: Shape,
    own: Any,
    format: str | None,
    text_column: str | None,
    say: Callable[[str], None],
) -> None:
    """Vocabulary and token ids, unless they are there from before.

    Args:
        own: the tokenizer of the model that training goes on from; it is kept unless a vocabulary size was asked for.

    Raises:
        SourceError: a source cannot be read, or holds too little.
    """
    if not resume or not (folder / TOKENIZER / "tokenizer.json").is_file():
        tokenizer = own
        if form.vocab_size is not None:
            longest = form.max_length if own is None else own.model_max_length
            tokenizer = _new_vocabulary(sources, form, longest, format, text_column, say)
        claim(folder, document, resume)
        draft = folder / f"{TOKENIZER}.part"
        shutil.rmtree(draft, ignore_errors=True)
        tokenizer.save_pretrained(draft)
        shutil.rmtree(folder / TOKENIZER, ignore_errors=True)
        draft.replace(folder / TOKENIZER)
    if not (folder / CORPUS).is_dir():
        tokenizer = AutoTokenizer.from_pretrained(folder / TOKENIZER)
        try:
            prepare(
                sources,
                tokenizer,
                folder / CORPUS,
                format=format,
                text_column=text_column,
                longest=form.max_length - 3,
                report=say,
            )
        except LayerwiseError:
            if not resume:
                shutil.rmtree(folder)  # made a moment ago, and good for nothing
            raise


def _new_vocabulary(
    sources: list[str],
    form: Shape,
    longest: int,
    format: str | None,
    text_column: str | None,
    say: Callable[[str], None],
) -> Any:
    assert form.vocab_size is not None
    texts = []
    for source in sources:
        say(f"reading {source} for the vocabulary")
        texts += _sample(source, format, text_column, VOCABULARY_CHARACTERS // len(sources))
    if not texts:
        raise SourceError(f"{', '.join(sources)}: there is no text in it; expected documents.")
    say("training the vocabulary")
    return train_vocabulary(texts, form.vocab_size, cased=bool(form.cased), max_length=longest)


def _sample(source: str, format: str | None, text_column: str | None, characters: int) -> list[str]:
    """Sentences of the first documents, up to so many characters."""
    texts, total = [], 0
    for document in read_documents(source, format, text_column):
        texts += document
        total += sum(map(len, document))
        if total >= characters:
            break
    return texts
