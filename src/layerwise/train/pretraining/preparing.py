"""What has to be there before the first step: the vocabulary, and the corpus as token ids."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from layerwise.errors import LayerwiseError, SourceError
from layerwise.models.tokenizer_files import faults_of_files
from layerwise.train.pretraining.corpus import prepare, read_documents
from layerwise.train.pretraining.shape import PretrainShape
from layerwise.train.run_folder import RUN, claim
from layerwise.train.vocabulary import train_vocabulary

TOKENIZER = "tokenizer"
CORPUS = "corpus"
NEW = ".new"
"""Where in the folder of an earlier run all this is made, so that the run is lost only once it can be replaced."""

VOCABULARY_CHARACTERS = 60_000_000
"""Characters that the vocabulary is trained on at most, in equal shares of the sources."""


@dataclass(frozen=True)
class Preparing:
    """The work before the first step.

    Attributes:
        sources, format, text_column: of the corpus.
        own: the tokenizer of the model that training goes on from; it is kept unless a vocabulary size was asked for.
        say: told how far it has come.
    """

    sources: list[str]
    format: str | None
    text_column: str | None
    shape: PretrainShape
    own: Any
    say: Callable[[str], None]

    def make_ready(self, folder: Path, document: dict[str, Any], resume: bool) -> None:
        """Vocabulary and token ids in the folder of a run, unless they are there from before.

        Raises:
            SourceError: a source cannot be read, or holds too little; an earlier run is as it was then.
            LayerwiseError: the folder cannot be written.
        """
        try:
            self._make_ready(folder, document, resume)
        except OSError as error:
            said = error.strerror or error
            raise LayerwiseError(
                f"vocabulary and token ids cannot be written to {folder} ({said}): make room."
            ) from error

    def _make_ready(self, folder: Path, document: dict[str, Any], resume: bool) -> None:
        if resume:
            self._fill(folder)
        elif not (folder / RUN).is_file():
            claim(folder, document, resume)
            try:
                self._fill(folder)
            except (LayerwiseError, OSError):
                shutil.rmtree(folder)  # made a moment ago, and good for nothing
                raise
        else:
            new = folder / NEW
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir()
            try:
                self._fill(new)
            except BaseException:
                shutil.rmtree(new, ignore_errors=True)
                raise
            claim(folder, document, resume, keep=NEW)
            for name in (CORPUS, TOKENIZER):
                (new / name).replace(folder / name)
            new.rmdir()

    def _fill(self, folder: Path) -> None:
        if not (folder / TOKENIZER / "tokenizer.json").is_file():
            shutil.rmtree(folder / CORPUS, ignore_errors=True)  # its numbers would be of another vocabulary
            tokenizer = self.own if self.shape.vocab_size is None else self._new_vocabulary()
            draft = folder / f"{TOKENIZER}.part"
            shutil.rmtree(draft, ignore_errors=True)
            with faults_of_files():
                tokenizer.save_pretrained(draft)
            shutil.rmtree(folder / TOKENIZER, ignore_errors=True)
            draft.replace(folder / TOKENIZER)
        if not (folder / CORPUS).is_dir():
            prepare(
                self.sources,
                AutoTokenizer.from_pretrained(folder / TOKENIZER),
                folder / CORPUS,
                format=self.format,
                text_column=self.text_column,
                longest=self.shape.max_length - 3,
                report=self.say,
            )

    def _new_vocabulary(self) -> Any:
        assert self.shape.vocab_size is not None
        texts = []
        for source in self.sources:
            self.say(f"reading {source} for the vocabulary")
            texts += self._sample(source, VOCABULARY_CHARACTERS // len(self.sources))
        if not texts:
            raise SourceError(f"{', '.join(self.sources)}: there is no text in it; expected documents.")
        self.say("training the vocabulary")
        longest = self.shape.max_length if self.own is None else self.own.model_max_length
        return train_vocabulary(
            texts, self.shape.vocab_size, cased=bool(self.shape.cased), max_length=longest
        )

    def _sample(self, source: str, characters: int) -> list[str]:
        """Sentences of the first documents, up to so many characters."""
        texts, total = [], 0
        for document in read_documents(source, self.format, self.text_column):
            texts += document
            total += sum(map(len, document))
            if total >= characters:
                break
        return texts
