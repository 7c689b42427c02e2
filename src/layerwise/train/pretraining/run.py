"""`pretrain`: a BERT from raw text, with its own vocabulary, trained on masked tokens and sentence pairs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import BertConfig, BertTokenizer

from layerwise.errors import LayerwiseError, SourceError, UsageError
from layerwise.models.load import pick_device, quiet
from layerwise.models.packed_pretraining import BertForPreTraining
from layerwise.reports.training import PretrainReport, TrainingProgress
from layerwise.train.loop import arguments, build_loop
from layerwise.train.pretraining.batches import Frame, PairStream, packed_batch
from layerwise.train.pretraining.corpus import Corpus, prepare, read_documents
from layerwise.train.pretraining.held_out import HeldOut, split_documents
from layerwise.train.pretraining.losses import Losses
from layerwise.train.pretraining.masking import Masking
from layerwise.train.run_folder import CHECKPOINTS, FINISHED, LOG, claim, refuse, resume_from
from layerwise.train.settings import Settings, pick_precision, require_training
from layerwise.train.vocabulary import train_vocabulary

TOKENIZER = "tokenizer"
CORPUS = "corpus"
VOCABULARY_CHARACTERS = 60_000_000
"""Characters that the vocabulary is trained on at most, in equal shares of the sources."""


@dataclass(frozen=True)
class Shape:
    """What is pretrained.

    Attributes:
        vocab_size: pieces of the vocabulary, special ones included.
        cased: whether capitals and accents are kept.
        layers, hidden, heads: blocks, width, attention heads (None: one for each 64 of the width).
        max_length: tokens of a pair of sentences.
        batch_tokens: tokens of one step, over all devices.
        whole_words: mask whole words.
        dropout: in pretraining; 0 as in Geiping & Goldstein (2023), §4.3. The config that is saved says 0.1.
    """

    vocab_size: int = 16_000
    cased: bool = False
    layers: int = 6
    hidden: int = 256
    heads: int | None = None
    max_length: int = 128
    batch_tokens: int = 8_192
    whole_words: bool = False
    dropout: float = 0.0

    @property
    def num_heads(self) -> int:
        return self.heads if self.heads is not None else max(1, self.hidden // 64)

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            UsageError: a number is out of its range.
        """
        for name in ("layers", "hidden", "num_heads", "batch_tokens"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name.replace('_', ' ')} is {getattr(self, name)}: expected at least 1.")
        if self.hidden % self.num_heads:
            raise UsageError(
                f"the width {self.hidden} and {self.num_heads} heads were given: expected a width that the heads divide."
            )
        if not 16 <= self.max_length <= 512:
            raise UsageError(f"max-length is {self.max_length}: expected 16 to 512 tokens.")
        if self.batch_tokens < self.max_length:
            raise UsageError(
                f"batch-tokens is {self.batch_tokens}: expected at least one sequence, {self.max_length} tokens."
            )
        if not 0 <= self.dropout < 1:
            raise UsageError(f"the dropout is {self.dropout:g}: expected 0 or more, and less than 1.")

    def config(self, vocab_size: int, pad: int) -> BertConfig:
        """The model's config for a vocabulary.

        Weights begin with BERT's standard deviation of 0.02 at its width of 768, and as the root of the width goes at
        others: with 0.02 a narrow model attends to everything alike for thousands of steps.
        """
        return BertConfig(
            vocab_size=vocab_size,
            hidden_size=self.hidden,
            num_hidden_layers=self.layers,
            num_attention_heads=self.num_heads,
            intermediate_size=4 * self.hidden,
            max_position_embeddings=self.max_length,  # a longer one would read vectors that were never trained
            initializer_range=0.02 * (768 / self.hidden) ** 0.5,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
            pad_token_id=pad,
        )


def pretrain(
    corpus: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    shape: Shape | None = None,
    settings: Settings | None = None,
    save_every: int = 500,
    minutes: float | None = None,
    prepare_only: bool = False,
    format: str | None = None,
    text_column: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[TrainingProgress], None] = lambda progress: None,
    say: Callable[[str], None] = lambda text: None,
) -> PretrainReport | None:
    """Train a vocabulary and a `BertForPreTraining` on documents.

    Each source is a part of its own: held-out documents are scored by source, so that languages in files of their own
    are told apart. A run that was stopped goes on with `resume`, with the losses of an undisturbed one.

    Args:
        corpus: sources as for `extract`; in `.txt` an empty line ends a document.
        output: the folder to write.
        save_every: steps between two checkpoints, at which the held-out documents are scored.
        minutes: stop after so many, with a checkpoint.
        prepare_only: train the vocabulary and tokenise the corpus, and stop there.

    Returns:
        The report of the whole training; None where it was stopped before its end, and in processes but the first.

    Raises:
        UsageError: an option out of its range; the folder is there.
        SourceError: a source cannot be read or holds too little.
        NumericError: the loss became NaN or infinite.
        DeviceMemoryError: a batch does not fit.
        MissingExtraError: the extra `train` is not installed.
    """
    require_training()
    form, how = shape or Shape(), settings or Settings(steps=10_000, lr=5e-4, warmup=0.05, log_every=50)
    form.check()
    how.check()
    if how.steps is None:
        raise UsageError("pretraining is counted in steps: pass --steps.")
    state = PartialState(cpu=pick_device(how.device).type == "cpu")
    device = state.device if how.device == "auto" else pick_device(how.device)
    precision = pick_precision(how.precision, device)
    shares = state.num_processes * how.accumulate
    pairs = max(form.batch_tokens // form.max_length // shares, 1) * shares
    sources = [str(one) for one in ([corpus] if isinstance(corpus, str | Path) else corpus)]
    folder = Path(output).expanduser()
    same = {
        key: value
        for key, value in how.document().items()
        if key not in ("device", "accumulate", "epochs", "batch_size")
    }
    document = {
        "corpus": sources,
        **asdict(form),
        **same,
        "format": format,
        "text_column": text_column,
        "pairs": pairs,
    }
    with state.main_process_first():
        if state.is_main_process:
            refuse(folder, document, resume, overwrite)
            _prepare(folder, document, resume, sources, form, format, text_column, say)
    if prepare_only:
        return None
    tokenizer = BertTokenizer.from_pretrained(folder / TOKENIZER)
    run = _Pretraining(
        folder, form, how, pairs, state, device, precision, tokenizer, progress, save_every, minutes, say
    )
    return run.train(resume)


def _prepare(
    folder: Path,
    document: dict[str, Any],
    resume: bool,
    sources: list[str],
    form: Shape,
    format: str | None,
    text_column: str | None,
    say: Callable[[str], None],
) -> None:
    """Vocabulary and token ids, unless they are there from before."""
    if not resume or not (folder / TOKENIZER / "tokenizer.json").is_file():
        texts = []
        for source in sources:
            say(f"reading {source} for the vocabulary")
            texts += _sample(source, format, text_column, VOCABULARY_CHARACTERS // len(sources))
        if not texts:
            raise SourceError(f"{', '.join(sources)}: there is no text in it; expected documents.")
        say("training the vocabulary")
        tokenizer = train_vocabulary(texts, form.vocab_size, cased=form.cased, max_length=form.max_length)
        claim(folder, document, resume)
        draft = folder / f"{TOKENIZER}.part"
        shutil.rmtree(draft, ignore_errors=True)
        tokenizer.save_pretrained(draft)
        shutil.rmtree(folder / TOKENIZER, ignore_errors=True)
        draft.replace(folder / TOKENIZER)
    if not (folder / CORPUS).is_dir():
        tokenizer = BertTokenizer.from_pretrained(folder / TOKENIZER)
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


def _sample(source: str, format: str | None, text_column: str | None, characters: int) -> list[str]:
    """Sentences of the first documents, up to so many characters."""
    texts, total = [], 0
    for document in read_documents(source, format, text_column):
        texts += document
        total += sum(map(len, document))
        if total >= characters:
            break
    return texts


@dataclass
class _Pretraining:
    """One run, step by step."""

    folder: Path
    shape: Shape
    how: Settings
    pairs: int
    state: PartialState
    device: torch.device
    precision: str
    tokenizer: Any
    progress: Callable[[TrainingProgress], None]
    save_every: int
    minutes: float | None
    say: Callable[[str], None]

    def train(self, resume: bool) -> PretrainReport | None:
        assert self.how.steps is not None
        corpus = Corpus.load(self.folder / CORPUS)
        masking = Masking.of(self.tokenizer, self.shape.whole_words)
        frame = Frame(self.tokenizer.cls_token_id, self.tokenizer.sep_token_id)
        train, held = split_documents(corpus)
        stream = PairStream(
            corpus, train, self.shape.max_length, frame, masking, self.how.seed, self.how.steps * self.pairs
        )
        torch.manual_seed(self.how.seed)
        with quiet():
            model = BertForPreTraining.new(
                self.shape.config(len(self.tokenizer), self.tokenizer.pad_token_id)
            )
        losses = Losses(self.pairs)
        scorer = HeldOut(corpus, held, self.shape.max_length, frame, Masking.of(self.tokenizer, False))

        def evaluate() -> dict[str, float]:
            return scorer.scores(loop.model, self.device, self.precision)

        loop = self._loop(model, stream, losses, evaluate)
        checkpoint = resume_from(self.folder) if resume else None
        began = time.perf_counter()
        result = loop.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if result.global_step < self.how.steps or not self.state.is_main_process:
            if self.state.is_main_process:
                self.say(
                    f"stopped at step {result.global_step:,} of {self.how.steps:,}, with a checkpoint: the same command "
                    "with --resume goes on"
                )
            self.state.wait_for_everyone()
            return None
        scores = evaluate()
        self._save(loop.model)
        seconds = time.perf_counter() - began
        self.state.wait_for_everyone()
        return PretrainReport(
            output=str(self.folder),
            parameters=sum(weight.numel() for weight in loop.model.parameters()),
            vocabulary=len(self.tokenizer),
            documents=len(corpus.documents) - 1,
            tokens=int(corpus.sentences[-1]),
            steps=result.global_step,
            trained_tokens=loop.tokens * self.state.num_processes,
            passes=self.how.steps * self.pairs / max(len(stream.first_pass), 1),
            scores=scores,
            precision=self.precision,
            seconds=seconds,
            tokens_per_second=loop.tokens * self.state.num_processes / seconds,
        )

    def _loop(
        self, model: Any, stream: PairStream, losses: Losses, evaluate: Callable[[], dict[str, float]]
    ) -> Any:
        args = arguments(
            self.how,
            self.folder / CHECKPOINTS,
            self.precision,
            self.device,
            self.state.num_processes,
            per_device_train_batch_size=self.pairs // (self.state.num_processes * self.how.accumulate),
            num_train_epochs=1,
            train_sampling_strategy="sequential",
            adam_epsilon=1e-6,
            eval_strategy="steps",
            eval_steps=self.save_every,
            save_strategy="steps",
            save_steps=self.save_every,
            dataloader_num_workers=4 if self.device.type == "cuda" else 0,
        )
        return build_loop(
            model,
            args,
            stream,
            collate=packed_batch,
            loss=losses,
            lengths=None,
            evaluator=evaluate,
            patience=None,
            log=self.folder / LOG,
            report=self.progress,
            meter=losses.drain,
            minutes=self.minutes,
        )

    def _save(self, model: Any) -> None:
        """The model, with the dropout of fine-tuning in its config, and its tokenizer."""
        config = model.config
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.1
        draft = self.folder / ".draft"
        shutil.rmtree(draft, ignore_errors=True)
        with quiet():
            model.save_pretrained(draft)
            self.tokenizer.save_pretrained(draft)
        for path in sorted(draft.iterdir(), key=lambda path: path.name == FINISHED):
            path.replace(self.folder / path.name)
        draft.rmdir()
        shutil.rmtree(self.folder / CHECKPOINTS, ignore_errors=True)
