"""The nouns of the project as frozen dataclasses. No torch, no transformers."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from layerwise.errors import LayerSelectionError

if TYPE_CHECKING:
    import torch

Layer = int | Literal["final"]
"""A layer's name: 0 is the embedding layer, 1..N the blocks, "final" the output after a final norm."""

UNITS = ("text", "word", "token")
WORDS = ("tokenizer", "whitespace", "unicode", "given")
POOLINGS: Mapping[str, tuple[str, ...]] = {
    "text": (
        "mean",
        "max",
        "cls",
        "last_token",
        "mean_with_special",
        "max_with_special",
        "last_with_special",
    ),
    "word": ("mean", "first", "last", "max"),
    "token": ("none",),
}
MIXES = ("none", "mean", "sum", "concat", "scalar")
LONG_TEXT = ("window", "truncate", "error")
PAIRS = ("joint", "separate")


def column_name(layer: Layer | Literal["mix"]) -> str:
    """The store's column for a layer: `layer_07`, `layer_final`, `layer_mix`."""
    return f"layer_{layer:02d}" if isinstance(layer, int) else f"layer_{layer}"


@dataclass(frozen=True, slots=True)
class LayerSelection:
    """Which layers of a model are wanted, resolved against that model.

    Attributes:
        layers: in the order asked for; numbers 0..num_hidden_layers, or "final".
        num_hidden_layers: number of blocks of the model (N); it has N + 1 layers.
        has_final: whether the model has a final norm after its last block.
    """

    layers: tuple[Layer, ...]
    num_hidden_layers: int
    has_final: bool = False

    @classmethod
    def parse(
        cls,
        spec: str | int | Sequence[int | str],
        num_hidden_layers: int,
        has_final: bool = False,
    ) -> LayerSelection:
        """Read `"all"`, or a comma list of numbers, Python slices over 0..N and `final`.

        `has_final` says that the model has a final norm after its last block (pre-norm
        families); where it has none, `final` means the last layer.

        Raises:
            LayerSelectionError: unreadable, out of range, repeated or empty.
        """
        numbers = range(num_hidden_layers + 1)
        valid = (
            f"valid are 0..{num_hidden_layers} (or -{num_hidden_layers + 1}..-1), slices like -4:, "
            "'final' and 'all'"
        )
        if isinstance(spec, str) and spec.strip() == "all":
            extra: tuple[Layer, ...] = ("final",) if has_final else ()
            return cls((*numbers, *extra), num_hidden_layers, has_final)
        given = spec.split(",") if isinstance(spec, str) else spec
        parts = list(given) if isinstance(given, Iterable) else [given]
        chosen: list[Layer] = []
        for part in parts:
            chosen += cls._read(part, numbers, has_final, valid)
        if not chosen:
            raise LayerSelectionError(f"the layer selection {spec!r} selects no layer: {valid}.")
        repeated = sorted({str(layer) for layer in chosen if chosen.count(layer) > 1})
        if repeated:
            raise LayerSelectionError(
                f"the layer selection {spec!r} names layer {', '.join(repeated)} more than once: "
                f"name each layer once; {valid}."
            )
        return cls(tuple(chosen), num_hidden_layers, has_final)

    @staticmethod
    def _read(part: int | str, numbers: range, has_final: bool, valid: str) -> list[Layer]:
        text = str(part).strip()
        if text == "final":
            return ["final" if has_final else numbers[-1]]
        try:
            if ":" in text:
                return list(
                    numbers[slice(*(int(bound) if bound.strip() else None for bound in text.split(":")))]
                )
            return [numbers[int(text)]]
        except (ValueError, TypeError, IndexError) as error:
            reason = "is out of range" if isinstance(error, IndexError) else "cannot be read"
            raise LayerSelectionError(f"layer {text!r} {reason}: {valid}.") from error

    @property
    def columns(self) -> tuple[str, ...]:
        """Store columns of the selected layers, in order."""
        return tuple(column_name(layer) for layer in self.layers)


def place_of(layer: int | str, held: Sequence[int | str], num_hidden_layers: int, has_final: bool) -> int:
    """Where a layer is among those that a result or a store holds.

    Args:
        layer: a number (negative ones count from the model's last layer), `"final"` or `"mix"`.
        held: names of the layers that are there.
        num_hidden_layers: number of blocks of the model (N).
        has_final: whether it has a final norm; if not, `"final"` means layer N.

    Raises:
        LayerSelectionError: it was not extracted.
    """
    try:
        wanted: int | str = int(layer) if isinstance(layer, str) else operator.index(layer)
    except ValueError:
        wanted = layer
    except TypeError:
        raise LayerSelectionError(f"a layer is {layer!r}: expected its number, 'final' or 'mix'.") from None
    if isinstance(wanted, int) and wanted < 0:
        wanted += num_hidden_layers + 1
    if wanted == "final" and not has_final:
        wanted = num_hidden_layers
    if wanted not in held:
        raise LayerSelectionError(
            f"layer {layer} was not extracted: there are layers {', '.join(map(str, held))}."
        )
    return held.index(wanted)


@dataclass(frozen=True, slots=True)
class TextRecord:
    """One input text as a reader hands it over.

    Attributes:
        text: the text, as given.
        text_pair: a second text for models that take pairs, or None.
        words: half-open character spans (code points) of the words in `text`, when the source
            gives them; else None.
        kept: values of the columns asked for with `--keep`, by column name; for columns aligned
            to words this is a list with one value a word.
        id: the user's own identifier, when an id column was named.
        place: where it stands, as messages name it: `reviews.tsv, line 7`. No part of what it is.
    """

    text: str
    text_pair: str | None = None
    words: tuple[tuple[int, int], ...] | None = None
    kept: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None
    place: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Unit:
    """One row of output: a token, a word or a text.

    Attributes:
        surface: `text[start:end]`, as given, before any normalisation.
        start, end: half-open character offsets (Unicode code points) into the text.
        word_id: number of the word in its text; None where the unit belongs to no word.
        sequence_id: 0 in `text`, 1 in `text_pair`.
        embedded: False for a word that got no token: its vector is null (NaN in arrays).
    """

    surface: str
    start: int
    end: int
    word_id: int | None = None
    sequence_id: int = 0
    embedded: bool = True


@dataclass(frozen=True, slots=True)
class HiddenStates:
    """The hidden states of one text.

    Attributes:
        text, text_pair: the input.
        layers: names of the layers along the first axis ("mix" if layers were mixed).
        units: what the rows are.
        hidden_states: (num_layers, num_units, hidden_size); rows of units that are not
            embedded are NaN.
        num_tokens: tokens the text has, special tokens not counted.
        num_windows: windows it was encoded in (1 unless it is longer than the model takes); of a
            pair encoded apart, those of the text that took more.
        num_truncated: tokens that were cut off (0 unless `long_text="truncate"`).
        num_hidden_layers: number of blocks of the model (N), whatever layers are here.
        has_final: whether the model has a final norm: `final` is then no name of layer N.
        attentions: (num_blocks, num_heads, seq, seq) over `tokens`, if asked for.
        tokens: the model's tokens, special tokens included, that `attentions` is over.
    """

    text: str
    text_pair: str | None
    layers: tuple[Layer | Literal["mix"], ...]
    units: tuple[Unit, ...]
    hidden_states: npt.NDArray[np.floating[Any]]
    num_tokens: int
    num_windows: int
    num_truncated: int
    num_hidden_layers: int
    has_final: bool = False
    attentions: npt.NDArray[np.floating[Any]] | None = None
    tokens: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.units)

    def layer(self, layer: Layer | Literal["mix"]) -> npt.NDArray[np.floating[Any]]:
        """One layer by name (negative numbers count from the model's last): (num_units, hidden_size).

        Raises:
            LayerSelectionError: it was not extracted.
        """
        place = place_of(layer, self.layers, self.num_hidden_layers, self.has_final)
        chosen: npt.NDArray[np.floating[Any]] = self.hidden_states[place]
        return chosen

    def numpy(self) -> npt.NDArray[np.floating[Any]]:
        """(num_layers, num_units, hidden_size) as a NumPy array (no copy)."""
        return self.hidden_states

    def torch(self) -> torch.Tensor:
        """(num_layers, num_units, hidden_size) as a torch tensor that shares the memory."""
        import torch

        return torch.from_numpy(self.hidden_states)

    def to_list(self) -> list[dict[str, Any]]:
        """One dict a unit: its surface, offsets and `layers` (name to list of floats)."""
        return [
            {
                "unit": unit.surface,
                "start": unit.start,
                "end": unit.end,
                "word_id": unit.word_id,
                "layers": {
                    str(name): self.hidden_states[i, row].tolist() if unit.embedded else None
                    for i, name in enumerate(self.layers)
                },
            }
            for row, unit in enumerate(self.units)
        ]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger of length: one entry a text, so that nothing is cut without being seen.

    All arrays have shape (num_texts,). What they count is what `HiddenStates` says of one text.
    """

    num_tokens: npt.NDArray[np.int64]
    num_windows: npt.NDArray[np.int32]
    num_truncated: npt.NDArray[np.int64]
    num_units: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.num_tokens)


@dataclass(frozen=True, slots=True)
class Chunk:
    """The rows of some consecutive whole texts, column by column, as the store takes them.

    Attributes:
        first_text: `text_id` of the first text; the chunk covers `len(ledger)` texts.
        ledger: length of every text, also of those without any row.
        text_id, unit_id, start, end: (rows,)
        unit: surface of each row.
        embedded: (rows,) False where a word got no token (its vectors are stored as null).
        vectors: store column name to (rows, size), float32 or float16, finite where embedded.
        sequence_id: (rows,) 0 or 1 for runs on pairs of texts, else None.
        word_id: (rows,) for runs at token level, -1 for none, else None.
        kept: column name to one value a text, or one list (a value a word) a text.
        ids: the user's identifier of each text, or None.
    """

    first_text: int
    ledger: Ledger
    text_id: npt.NDArray[np.int64]
    unit_id: npt.NDArray[np.int32]
    unit: Sequence[str]
    start: npt.NDArray[np.int32]
    end: npt.NDArray[np.int32]
    embedded: npt.NDArray[np.bool_]
    vectors: Mapping[str, npt.NDArray[np.floating[Any]]]
    sequence_id: npt.NDArray[np.int8] | None = None
    word_id: npt.NDArray[np.int32] | None = None
    kept: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    ids: Sequence[str | None] | None = None


TextLike = str | tuple[str, str] | Mapping[str, Any] | TextRecord
"""What `Encoder.encode` takes as one text: a string, a pair, a dict with `text`/`text_pair`, a record."""

TextsLike = Iterable[TextLike]
