"""Text to store: read, encode, write, and go on where an earlier run stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from layerwise.errors import InterruptedRunError, LayerwiseError, UsageError
from layerwise.extraction.chunks import as_chunk
from layerwise.extraction.source import find_sources, read_first
from layerwise.interruption import interruptible
from layerwise.models.allocator import give_back_freed_memory
from layerwise.models.encoder import Encoder
from layerwise.models.fitted import fitting_projection
from layerwise.models.pipeline import EncodedChunk
from layerwise.models.request import Request
from layerwise.ops.projection import Projection
from layerwise.reports.runs import ExtractSummary, Progress
from layerwise.store.reader import open_store
from layerwise.store.writer import StoreWriter
from layerwise.text.sources import Sources
from layerwise.types import TextRecord

FIRST_TEXTS, FIRST_CHARACTERS = 20_000, 10_000_000
"""How many texts, and about how much of them, tell the types of the columns that are kept."""

COMMIT_SECONDS = 30.0
"""About the most work that is lost when a run is killed."""


def extract(
    source: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    encoder: Encoder | Callable[[], Encoder],
    layers: str | int | Sequence[int | str] = "all",
    unit: str = "text",
    words: str | None = None,
    pooling: str | None = None,
    mix: str = "none",
    mix_weights: tuple[Sequence[float], float] | None = None,
    max_length: int | None = None,
    stride: int | None = None,
    long_text: str = "window",
    pairs: str = "joint",
    store_dtype: str = "float32",
    text_column: str | None = None,
    pair_column: str | None = None,
    id_column: str | None = None,
    words_column: str | None = None,
    keep: Sequence[str] = (),
    format: str | None = None,
    projection: str | Path | Projection | None = None,
    limit: int | None = None,
    overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> ExtractSummary:
    """Extract layers from a source of texts into a store.

    A store that an earlier, interrupted run of the same extraction left is completed: the rows are
    those of an undisturbed run. On Ctrl-C or SIGTERM what is finished is committed first.

    Args:
        source: files, folders, globs or URLs, or `"-"` for stdin; see `layerwise.text.sources`.
        output: the store's folder.
        encoder: the model, or what loads it: called when the source's first text was read, so that a wrong column
            is told before.
        layers, unit, pooling, mix, mix_weights, max_length, stride, long_text, pairs: as in
            `Encoder.encode`.
        words: `"tokenizer"`, `"whitespace"`, `"unicode"` or `"given"`; default at word level: the
            source's own (a `.conllu` or `.conll` file, a `words_column`), else `"tokenizer"`.
        store_dtype: `"float32"` or `"float16"`.
        text_column, pair_column, id_column, words_column: where to find what in the source; with
            `pairs="separate"` and neither text named, they are `sentence1` and `sentence2`.
        keep: columns of the source to copy into the store.
        format: how to read the source, whatever its ending: `"txt"`, `"jsonl"`, `"csv"`, `"tsv"`,
            `"parquet"`, `"conllu"` or `"conll"`.
        projection: a file of `layerwise fit-projection`, for the one layer selected: the store gets its
            smaller vectors.
        limit: take only the first texts.
        overwrite: start again, whatever store is there.
        progress: called after every batch and chunk, and now and then while the source gives nothing.

    Raises:
        UsageError: an option that does not exist or does not fit.
        SourceError: the source cannot be read.
        StoreError: the output is something else, belongs to another run, or cannot be written.
        TextTooLongError: with `long_text="error"`.
        NumericError: values that the store does not take.
        ModelError: a token id is beyond the model's embeddings.
        DeviceMemoryError: a batch does not fit on the device.
        InterruptedRunError: Ctrl-C or SIGTERM.
    """
    sources = find_sources(
        source,
        words=words,
        pairs=pairs,
        store_dtype=store_dtype,
        text_column=text_column,
        pair_column=pair_column,
        id_column=id_column,
        words_column=words_column,
        keep=keep,
        format=format,
        limit=limit,
    )
    if not isinstance(encoder, Encoder):
        read_first(sources)
        encoder = encoder()
    options = sources.options
    if words is None:
        own = words_column is not None or (unit == "word" and sources.give_words)
        words = "given" if own else "tokenizer"
    request = encoder.request(
        layers,
        unit,
        words=words,
        pooling=pooling,
        mix=mix,
        mix_weights=mix_weights,
        max_length=max_length,
        stride=stride,
        long_text=long_text,
        pairs=pairs,
    )
    tokenization = encoder.tokenization(request)  # refuses a window without room before there is a store
    if options.pair_column is not None:
        tokenization.refuse_pairs_without_room()
    mapped = None if projection is None else _fitting(projection, encoder, request)
    run = {
        **encoder.describe(),
        **request.describe(),
        "store_dtype": store_dtype,
        "source": sources.fingerprint(),
        "keep": list(options.keep),
        **({} if mapped is None else {"projection": _describe(mapped)}),
    }
    with StoreWriter.open(
        output,
        run,
        request.columns(encoder.hidden_size if mapped is None else mapped.dim),
        store_dtype=store_dtype,
        unit=unit,
        kept=sources.kept_types(),
        pairs=options.pair_column is not None and request.rows_of_both,
        ids=id_column is not None,
        resume=not overwrite,
        overwrite=overwrite,
    ) as writer:
        return _Run(encoder, request, sources, writer, limit, progress, mapped).go()


def _fitting(projection: str | Path | Projection, encoder: Encoder, request: Request) -> Projection:
    """The projection, if it is for the one layer that is selected.

    Raises:
        UsageError: it is not.
    """
    layers = request.layers.layers
    if len(layers) != 1 or request.mix != "none":
        mixed = "" if request.mix == "none" else " and mixed"
        raise UsageError(
            f"a projection is for one layer, and {len(layers)} are selected{mixed}: pass --layers with the one it was "
            "fitted on, and no mix."
        )
    return fitting_projection(projection, encoder, layers[0], texts=False)


def _describe(projection: Projection) -> dict[str, Any]:
    """The projection as the store's metadata records it."""
    kind, layer = (projection.document.get(key) for key in ("kind", "layer"))
    return {"sha256": projection.sha256, "kind": kind, "layer": layer, "dim": projection.dim}


class _Run:
    """One run of `extract`, from the first text that is not committed to the last."""

    def __init__(
        self,
        encoder: Encoder,
        request: Request,
        sources: Sources,
        writer: StoreWriter,
        limit: int | None,
        progress: Callable[[Progress], None] | None,
        projection: Projection | None = None,
    ) -> None:
        self.projection = projection
        self.encoder, self.request, self.sources, self.writer = encoder, request, sources, writer
        self.limit = limit
        self.report = progress
        self.resumed_from = writer.committed_texts
        self.texts = self.tokens = 0
        self.characters_read = self.characters_done = self.tokens_done = 0
        self.began = self.committed = time.monotonic()

    def go(self) -> ExtractSummary:
        records = self._counted(islice(self._looked_at(), self.resumed_from, self.limit))
        with interruptible() as interrupted, ThreadPoolExecutor(1, "layerwise-write") as pool:
            pending: Future[None] | None = None

            def after_batch(tokens: int) -> None:
                self.tokens += tokens
                self._report()
                if interrupted.is_set():
                    raise KeyboardInterrupt

            try:
                for chunk in self.encoder.chunks(records, self.request, after_batch, self.resumed_from):
                    if pending is not None:
                        pending.result()
                    pending = pool.submit(self._write, chunk, self.resumed_from + self.texts)
                    self.texts += len(chunk.records)
                    self.tokens_done = self.tokens
                    self.characters_done += sum(_size(record) for record in chunk.records)
                    self._report()
                if pending is not None:
                    pending.result()
            except KeyboardInterrupt:
                self._keep(pending)
                raise InterruptedRunError(
                    f"interrupted: {self.writer.committed_texts:,} texts are committed in {self.writer.path}; "
                    "run the same command again to go on from there."
                ) from None
            except LayerwiseError:
                self._keep(pending)
                raise
            if self.limit is None or self.resumed_from <= self.limit:
                self.writer.finish(self.limit)  # else nothing was asked for, and an unfinished store stays so
        return self._summary()

    def _looked_at(self) -> Iterator[TextRecord]:
        """The texts. The first ones tell the types of what is kept, however many of them are asked for now."""
        records = self.sources.records()
        if self.resumed_from or not self.sources.options.keep:
            yield from records
            return
        seen: list[TextRecord] = []
        room, failed = FIRST_CHARACTERS, None
        try:
            while len(seen) < FIRST_TEXTS and room > 0 and (record := next(records, None)) is not None:
                seen.append(record)
                room -= _size(record)
        except LayerwiseError as error:  # it may be behind the limit
            failed = error
        if seen:
            self.writer.first = {name: [record.kept.get(name) for record in seen] for name in seen[0].kept}
        yield from seen
        if failed is not None:
            raise failed
        yield from records

    def _counted(self, records: Iterator[TextRecord]) -> Iterator[TextRecord]:
        for record in records:
            self.characters_read += _size(record)
            yield record

    def _share(self) -> float | None:
        """Share of the source that is encoded: reading runs ahead of that by up to a chunk."""
        if not self.sources.total_bytes or self.limit is not None:
            return None
        a_token = self.characters_done / self.tokens_done if self.tokens_done else 3.0
        done = self.characters_done + (self.tokens - self.tokens_done) * a_token
        ahead = min(1.0, done / self.characters_read) if self.characters_read else 1.0
        return min(1.0, self.sources.bytes_read / self.sources.total_bytes) * ahead

    def _write(self, chunk: EncodedChunk, first_text: int) -> None:
        before = self.writer.committed_texts
        if self.projection is not None:
            chunk = replace(chunk, vectors=self.projection(chunk.vectors[0])[None])
        self.writer.append(as_chunk(chunk, self.request, first_text))
        if time.monotonic() - self.committed > COMMIT_SECONDS:
            self.writer.commit()
        if self.writer.committed_texts > before:
            self.committed = time.monotonic()
            give_back_freed_memory()

    def _keep(self, pending: Future[None] | None) -> None:
        """Commit whatever is whole; a fault in that must not hide the one that ended the run."""
        with suppress(LayerwiseError):
            if pending is not None:
                pending.result()
        with suppress(LayerwiseError):
            self.writer.commit()

    def _report(self) -> None:
        if self.report is None:
            return
        self.report(
            Progress(
                texts=self.texts,
                tokens=self.tokens,
                seconds=time.monotonic() - self.began,
                share=self._share(),
                layers=len(self.request.layers.layers),
                bytes_written=self.writer.bytes_written,
                resumed_from=self.resumed_from,
            )
        )

    def _summary(self) -> ExtractSummary:
        seconds = time.monotonic() - self.began
        return ExtractSummary(
            **open_store(self.writer.path).totals().to_dict(),
            layers=self.request.layers.layers,
            unit=self.request.unit,
            seconds=round(seconds, 3),
            tokens_per_second=round(self.tokens / seconds, 1) if seconds else 0.0,
            resumed_from=self.resumed_from,
            engine="packed" if self.encoder.engine.packed else "padded",
            note=self.encoder.note,
        )


def _size(record: TextRecord) -> int:
    """Characters of a text and its pair."""
    return len(record.text) + len(record.text_pair or "")
