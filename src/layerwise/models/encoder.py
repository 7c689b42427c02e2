"""The encoder: texts in, the hidden states of every layer out."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from typing import Any

import tokenizers
import torch
import transformers

from layerwise.errors import ModelError, TextTooLongError, UsageError
from layerwise.models.allocator import keep_freed_memory
from layerwise.models.embedded import MINILM
from layerwise.models.encoded_text import EncodedText
from layerwise.models.engine import Engine
from layerwise.models.load import LoadedModel, load, pick_device, pick_dtype
from layerwise.models.locate import ModelFiles, locate
from layerwise.models.pipeline import EncodedChunk, Sizes, as_tensors, encode_chunks
from layerwise.models.removed_heads import take_out_heads
from layerwise.models.request import Request
from layerwise.models.self_check import SelfCheck, build_engine, confirm, needed_weights
from layerwise.models.shipped import pooling_of
from layerwise.models.states import split
from layerwise.models.stored_dtype import cast
from layerwise.models.tokenization import Tokenization, longest_window, plain_backend
from layerwise.text.records import as_records
from layerwise.types import HiddenStates, LayerSelection, TextLike, TextRecord, TextsLike
from layerwise.version import __version__

Words = str | Sequence[Sequence[str | tuple[int, int]]]


class Encoder:
    """A BERT-family model whose every layer can be read.

    Make one with `Encoder.from_pretrained`.

    Attributes:
        num_hidden_layers: number of blocks N; layers are 0..N.
        has_final: whether there is a `final` layer, the output after a final norm.
        hidden_size: size of each vector.
        max_length: most tokens of one window, special tokens included.
        text_pooling: the default pooling of texts: `mean`, or what a folder that `ship` or `finetune similarity` wrote says.
        self_check: how the model runs, packed or padded, and why.
        weights_sha256: one checksum over the weight files, as they were when they were loaded.
    """

    def __init__(
        self,
        files: ModelFiles,
        loaded: LoadedModel,
        engine: Engine,
        self_check: SelfCheck,
        dtype: str,
        batch_tokens: int | None = None,
    ) -> None:
        self.files = files
        self.weights_sha256 = files.weights_sha256  # now: the files may be replaced later
        self.loaded = loaded
        self.engine = engine
        self.self_check = self_check
        self.tokenizer = loaded.tokenizer
        self.text_pooling = pooling_of(files.folder)
        self._tokenizations: dict[tuple[Any, ...], Tokenization] = {}
        self.dtype = dtype
        self.num_hidden_layers = engine.anatomy.num_hidden_layers
        self.has_final = engine.has_final
        self.hidden_size = engine.hidden_size
        self.max_length = longest_window(engine.anatomy.max_positions, self.tokenizer)
        cuda = engine.device.type == "cuda"
        tokens = (32_768 if cuda else 2_048) if batch_tokens is None else batch_tokens
        if tokens < 1:
            raise UsageError(f"batch_tokens is {tokens}: expected at least 1.")
        self.sizes = Sizes(tokens, tokens * (16 if cuda else 8))

    @property
    def note(self) -> str:
        """What a user should know before trusting the vectors, in sentences; else empty."""
        said = [self.self_check.note] if self.self_check.note else []
        for names, what in (
            (self.loaded.unused_in_blocks, "weights of its blocks that the model does not use"),
            (self.loaded.unused_blocks, "weights of blocks that config.json does not have"),
        ):
            if names:
                said.append(
                    f"the files hold {len(names)} {what} ({names[0]}, …): see `layerwise models {self.files.name}`."
                )
        return " ".join(said)

    @classmethod
    def from_pretrained(
        cls,
        model: str = MINILM,
        *,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "float32",
        batch_tokens: int | None = None,
        engine: str = "auto",
        allow_pickle: bool = False,
    ) -> Encoder:
        """Load a model and check, layer by layer, that it is read rightly.

        Args:
            model: `"minilm"` or `"bilingual"` (embedded), a local folder, or a name on the Hugging Face Hub.
            revision: branch, tag or commit on the Hub.
            device: `"auto"`, `"cpu"`, `"cuda"`, …
            dtype: `"float32"`, `"bfloat16"` or `"float16"`, the precision of the forward pass.
            batch_tokens: most tokens of one forward pass; the default fits the device.
            engine: `"auto"` (packed where the self-check agrees) or `"padded"`.
            allow_pickle: load pickled weights if there are no others.

        Raises:
            ModelError: not found, unsafe, damaged, or no encoder whose layers can be read.
            UsageError: an unknown dtype, device or engine.
        """
        torch_device, torch_dtype = pick_device(device), pick_dtype(dtype)
        if engine not in ("auto", "padded"):
            raise UsageError(f"unknown engine {engine!r}: choose one of auto, padded.")
        if torch_device.type == "cpu":
            keep_freed_memory()
        files = locate(model, revision, allow_pickle)
        loaded = load(files)
        take_out_heads(loaded.model)
        checked, self_check = build_engine(loaded.model, engine)
        if random := needed_weights(checked, loaded.missing):
            raise ModelError(
                f"the files of {files.name!r} lack {len(random)} weights of its layers ({', '.join(random[:3])}, …): "
                "they would be random; the download is incomplete, or the files belong to another architecture."
            )
        cast(loaded.model, torch_dtype, torch_device)
        if (torch_device.type, torch_dtype) != ("cpu", torch.float32):
            self_check = confirm(checked, self_check)
        return cls(files, loaded, checked, self_check, dtype, batch_tokens)

    def encode(
        self,
        texts: TextLike | TextsLike,
        layers: str | int | Sequence[int | str] = "all",
        unit: str = "token",
        *,
        words: Words | None = None,
        pooling: str | None = None,
        mix: str = "none",
        mix_weights: tuple[Sequence[float], float] | None = None,
        max_length: int | None = None,
        stride: int | None = None,
        long_text: str = "window",
        pairs: str = "joint",
        attentions: bool = False,
    ) -> list[HiddenStates]:
        """Encode texts; one `HiddenStates` a text, in their order.

        Args:
            texts: strings, `(text, text_pair)` tuples, dicts or `TextRecord`s (one string, dict or
                record is taken as a list of one).
            layers: `"all"`, or numbers, slices and `final` as in `"0,6,-1"`, `"-4:"`.
            unit: `"token"`, `"word"` or `"text"`.
            words: `"tokenizer"`, `"whitespace"`, `"unicode"`, `"given"` (the texts bring them), or
                one list a text of words or of (start, end) character spans; default at word level:
                `"given"` if the first text brings words, else `"tokenizer"`.
            pooling: how tokens become a unit: for texts `mean` (default), `max`, `cls`, `last_token`, and
                `mean_with_special`, `max_with_special`, `last_with_special`;
                for words `mean` (default), `first`, `last`, `max`.
            mix: how layers become one vector: `none`, `mean`, `sum`, `concat`, `scalar`.
            mix_weights: for `scalar`: one weight a layer, and gamma.
            max_length, stride, long_text: what happens to texts longer than the model.
            pairs: `"joint"` (both texts of a pair in one sequence, as a cross-encoder reads them) or
                `"separate"` (each on its own, as a bi-encoder does; at text level a row each).
            attentions: also return the attention weights of the selected blocks.

        Raises:
            UsageError: an option that does not exist or does not fit.
            SourceError: `words="given"`, and a text brings none.
            TextTooLongError: with `long_text="error"`; or with `attentions` and several windows.
            NumericError: a vector is NaN or infinite, as beyond float16's 65504.
            ModelError: a token id is beyond the model's embeddings.
            DeviceMemoryError: a batch does not fit on the device.
        """
        listed = [texts] if isinstance(texts, str | Mapping | TextRecord) else texts
        return list(
            self.stream(
                listed,
                layers,
                unit,
                words=words,
                attentions=attentions,
                pooling=pooling,
                mix=mix,
                mix_weights=mix_weights,
                max_length=max_length,
                stride=stride,
                long_text=long_text,
                pairs=pairs,
            )
        )

    def stream(
        self,
        texts: TextsLike,
        layers: str | int | Sequence[int | str] = "all",
        unit: str = "token",
        *,
        words: Words | None = None,
        attentions: bool = False,
        **options: Any,
    ) -> Iterator[HiddenStates]:
        """As `encode`, for any iterator of texts: constant memory, input order.

        Texts are read ahead, by up to a chunk of some thousand tokens, and in another thread: an iterator
        that is bound to its thread, such as a cursor of sqlite3, is to be read into a list first.
        """
        given = None if words is None or isinstance(words, str) else words
        choice = "given" if given is not None else str(words or "tokenizer")
        request = self.request(layers, unit, words=choice, **options)
        if attentions and (request.unit != "token" or request.mix != "none"):
            raise UsageError(
                "attention weights are between tokens: they go with unit='token' and mix='none'."
            )
        if attentions and request.pairs == "separate":
            raise UsageError(
                "attention weights are those of one sequence, and pairs='separate' makes two of a pair: encode "
                "the texts of a pair one by one, or choose pairs='joint'."
            )
        own_words = words is None and unit == "word"
        return self._stream(as_records(texts, given), request, attentions, own_words)

    def _stream(
        self, records: Iterator[TextRecord], request: Request, attentions: bool, own_words: bool
    ) -> Iterator[HiddenStates]:
        if own_words and (first := next(records, None)) is not None:
            records = chain([first], records)
            request = request if first.words is None else replace(request, words="given")
        for chunk in self.chunks(records, request):
            for text, states in zip(chunk.texts, split(chunk, request), strict=True):
                yield self._with_attentions(text, states, request) if attentions else states

    def _with_attentions(self, text: EncodedText, states: HiddenStates, request: Request) -> HiddenStates:
        """Add `attentions`, one (num_heads, seq, seq) for each selected block."""
        blocks = [layer for layer in request.layers.layers if isinstance(layer, int) and layer > 0]
        if not blocks:
            raise UsageError("attention weights belong to blocks 1..N: select at least one layer above 0.")
        if len(text.sequences) != 1:
            raise TextTooLongError(
                f"attention weights were asked for a text of {text.num_tokens} tokens, which takes "
                f"{len(text.sequences)} windows: they exist within one window only; shorten the text."
            )
        sequence = as_tensors(text.sequences[0])
        return replace(
            states,
            attentions=self.engine.attention_weights(sequence, blocks).numpy(),
            tokens=tuple(self.tokenizer.convert_ids_to_tokens(sequence.input_ids.tolist())),
        )

    def select(self, layers: str | int | Sequence[int | str]) -> LayerSelection:
        """Resolve a layer selection against this model."""
        return LayerSelection.parse(layers, self.num_hidden_layers, self.has_final)

    def request(
        self,
        layers: str | int | Sequence[int | str] = "all",
        unit: str = "token",
        *,
        max_length: int | None = None,
        **options: Any,
    ) -> Request:
        """Read and check the options of `encode` against this model."""
        if max_length is not None and not 1 <= max_length <= self.max_length:
            raise UsageError(
                f"max_length is {max_length}: the model {self.files.name!r} takes up to {self.max_length} tokens."
            )
        if unit == "text" and options.get("pooling") is None:
            options["pooling"] = self.text_pooling
        return Request.build(self.select(layers), unit, max_length=max_length or self.max_length, **options)

    def chunks(
        self,
        records: Iterable[TextRecord],
        request: Request,
        progress: Callable[[int], None] = lambda tokens: None,
        first_text: int = 0,
    ) -> Iterator[EncodedChunk]:
        """The engine room: chunks of rows, as `extract` stores them."""
        return encode_chunks(
            self.engine, self.tokenization(request), records, request, self.sizes, progress, first_text
        )

    def tokenization(self, request: Request) -> Tokenization:
        """How texts become token sequences under `request`.

        Raises:
            UsageError: the window has no room, or `pooling="cls"` and the tokenizer opens with no token.
        """
        align = request.unit != "text"
        key = (request.max_length, request.stride, request.long_text, request.words, align, request.pairs)
        found = self._tokenizations.get(key)
        if found is None:  # copying a tokenizer takes longer than encoding a sentence
            found = self._tokenizations[key] = Tokenization(self.tokenizer, *key)
        if request.unit == "text" and request.pooling == "cls" and not found.has_cls:
            raise UsageError(
                f"the tokenizer of {self.files.name!r} puts no token before a text, so pooling='cls' has none to "
                "take: choose mean, max or last_token."
            )
        return found

    def describe(self) -> dict[str, Any]:
        """Everything about the model that decides what its vectors are, for the store's metadata."""
        return {
            "model": self.files.name,
            "revision": self.files.revision,
            "weights_sha256": self.weights_sha256,
            "architecture": type(self.engine.model).__name__,
            "tokenizer_sha256": self.tokenizer_sha256,
            "num_hidden_layers": self.num_hidden_layers,
            "hidden_size": self.hidden_size,
            "has_final": self.has_final,
            "dtype": self.dtype,
            "engine": "packed" if self.engine.packed else "padded",
            "attention": self.engine.attention,
            "device": self.engine.device.type,
            "batch_tokens": self.sizes.batch_tokens,
            "versions": {
                "layerwise": __version__,
                "python": platform.python_version(),
                "tokenizers": tokenizers.__version__,
                "torch": torch.__version__,
                "transformers": transformers.__version__,
            },
        }

    @cached_property
    def tokenizer_sha256(self) -> str:
        """sha256 of the tokenizer's own serialisation, without padding and truncation."""
        return hashlib.sha256(plain_backend(self.tokenizer).to_str().encode()).hexdigest()
