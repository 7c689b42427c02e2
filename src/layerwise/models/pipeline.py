"""From a stream of texts to chunks of rows: tokenise, lay out, run, collect.

The work is cut into chunks of whole texts. Which texts share a chunk depends on nothing but the
texts from the last chunk's end on, and within a chunk on nothing else: so a run that is resumed at
the end of a chunk computes bit for bit what an undisturbed run computes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from queue import Empty, SimpleQueue
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from layerwise.errors import LayerwiseError, SourceError
from layerwise.models.collector import Collector
from layerwise.models.encoded_text import EncodedText, Window
from layerwise.models.engine import Engine, TokenSequence
from layerwise.models.memory import within_memory
from layerwise.models.request import Request
from layerwise.models.rows import Rows, count_rows, plan_rows
from layerwise.models.tokenization import Tokenization
from layerwise.ops.mix import mix_layers
from layerwise.text.batching import by_tokens, padded
from layerwise.types import TextRecord

PIECE_TEXTS, PIECE_CHARACTERS = 512, 200_000
"""How much text is tokenised at once."""

CHUNK_BYTES = 256 << 20
"""Most bytes of a chunk's rows, unless one text alone has more."""

POLL_SECONDS = 0.2

T = TypeVar("T")


@dataclass(frozen=True)
class Sizes:
    """How much is done at once.

    Attributes:
        batch_tokens: most tokens of one forward pass (padding counted where there is any).
        chunk_tokens: most tokens of one chunk, within which texts are sorted by length.
    """

    batch_tokens: int
    chunk_tokens: int


@dataclass(frozen=True)
class EncodedChunk:
    """The rows of some consecutive texts.

    Attributes:
        records, texts: the texts, as given and as tokenised.
        rows: what the rows are.
        vectors: (num_layers, rows, size) float32, NaN where a row is not embedded; one "layer"
            if layers were mixed.
    """

    records: Sequence[TextRecord]
    texts: Sequence[EncodedText]
    rows: Rows
    vectors: npt.NDArray[np.float32]


def encode_chunks(
    engine: Engine,
    tokenization: Tokenization,
    records: Iterable[TextRecord],
    request: Request,
    sizes: Sizes,
    progress: Callable[[int], None] = lambda tokens: None,
    first_text: int = 0,
) -> Iterator[EncodedChunk]:
    """Encode a stream of texts, in order, in bounded memory.

    The next chunk is read and tokenised while the present one runs. `progress(tokens)` is called
    after every forward pass with the tokens it processed, and now and then with 0 while the source
    gives nothing; an exception it raises ends the run. `first_text` is the number of the first text,
    for messages.
    """
    row_bytes = len(request.layers.layers) * engine.hidden_size * 4  # before they are mixed
    chunks = _chunks(_tokenise(tokenization, records, first_text), request, sizes.chunk_tokens, row_bytes)
    planned = ((own, texts, plan_rows(texts, request)) for own, texts in chunks)
    for own, texts, rows in _ahead(planned, waiting=lambda: progress(0)):
        vectors = _run(engine, texts, rows, request, sizes.batch_tokens, progress)
        yield EncodedChunk(own, texts, rows, vectors)


def _tokenise(
    tokenization: Tokenization, records: Iterable[TextRecord], done: int
) -> Iterator[tuple[TextRecord, EncodedText]]:
    for piece in _pieces(records):
        yield from zip(piece, tokenization.encode(piece, first_text=done), strict=True)
        done += len(piece)


def _pieces(records: Iterable[TextRecord]) -> Iterator[list[TextRecord]]:
    piece: list[TextRecord] = []
    characters = 0
    try:
        for record in records:
            piece.append(record)
            characters += len(record.text) + len(record.text_pair or "")
            if len(piece) == PIECE_TEXTS or characters >= PIECE_CHARACTERS:
                yield piece
                piece, characters = [], 0
    except SourceError:
        if piece:  # a fault in the source does not lose what was read before it
            yield piece
        raise
    if piece:
        yield piece


def _chunks(
    texts: Iterable[tuple[TextRecord, EncodedText]], request: Request, chunk_tokens: int, row_bytes: int
) -> Iterator[tuple[list[TextRecord], list[EncodedText]]]:
    """Fill chunks greedily up to `chunk_tokens` tokens or `CHUNK_BYTES` bytes of rows."""
    records: list[TextRecord] = []
    encoded: list[EncodedText] = []
    tokens = rows = 0
    try:
        for record, text in texts:
            new_tokens = sum(len(sequence) for sequence in text.sequences)
            new_rows = count_rows(text, request.unit)
            full = tokens + new_tokens > chunk_tokens or (rows + new_rows) * row_bytes > CHUNK_BYTES
            if full and encoded:
                yield records, encoded
                records, encoded, tokens, rows = [], [], 0, 0
            records.append(record)
            encoded.append(text)
            tokens += new_tokens
            rows += new_rows
    except LayerwiseError:  # of the source, or of a text that is too long: what came before it is kept
        if encoded:
            yield records, encoded
        raise
    if encoded:
        yield records, encoded


def _ahead(items: Iterator[T], waiting: Callable[[], None]) -> Iterator[T]:
    """The same items, each made in another thread while the one before is in use.

    `waiting()` is called now and then while there is nothing to hand out; what it raises ends the
    wait. The thread is a daemon: a source that gives nothing, such as an idle pipe, holds up nobody
    who stops early.
    """
    wanted: SimpleQueue[bool] = SimpleQueue()
    made: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def make() -> None:
        while wanted.get():
            try:
                made.put((next(items, None), None))
            except BaseException as error:
                made.put((None, error))

    threading.Thread(target=make, name="layerwise-tokenise", daemon=True).start()
    try:
        wanted.put(True)
        while (item := _next_of(made, waiting)) is not None:
            wanted.put(True)
            yield item
    finally:
        wanted.put(False)


def _next_of(
    made: SimpleQueue[tuple[T | None, BaseException | None]], waiting: Callable[[], None]
) -> T | None:
    while True:
        try:
            item, error = made.get(timeout=POLL_SECONDS)
        except Empty:
            waiting()
            continue
        if error is not None:
            raise error
        return item


def _run(
    engine: Engine,
    texts: Sequence[EncodedText],
    rows: Rows,
    request: Request,
    batch_tokens: int,
    progress: Callable[[int], None],
) -> npt.NDArray[np.float32]:
    sequences = list(chain.from_iterable(text.sequences for text in texts))
    collector = Collector(rows, request.layers.layers, engine.hidden_size, engine.device)
    needed = np.unique(rows.edge_sequence).tolist()  # an empty text has nothing to run
    lengths = [len(sequences[s]) for s in needed]
    for batch in (by_tokens if engine.packed else padded)(lengths, batch_tokens):
        chosen = [needed[i] for i in batch]
        total = sum(lengths[i] for i in batch)
        with within_memory(engine.device, "lower --batch-tokens", f"a batch of {total:,} tokens"):
            collector.begin(chosen, [lengths[i] for i in batch])
            engine.run([as_tensors(sequences[s]) for s in chosen], request.layers.layers, collector.take)
            collector.end()
        progress(total)
    vectors = collector.finish()
    if request.mix == "none":
        return vectors
    mixed = mix_layers(torch.from_numpy(vectors), request.mix, request.mix_weights)
    array: npt.NDArray[np.float32] = mixed.unsqueeze(0).numpy()
    return array


def as_tensors(sequence: Window) -> TokenSequence:
    """One tokenised window as the engine takes it."""
    return TokenSequence(torch.from_numpy(sequence.input_ids), torch.from_numpy(sequence.token_type_ids))
