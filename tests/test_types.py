"""The selection of layers, as users write it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from layerwise.errors import LayerSelectionError
from layerwise.types import LayerSelection, place_of


@pytest.mark.parametrize(
    ("spec", "layers"),
    [
        ("all", (0, 1, 2, 3, 4)),
        ("0,4,-2", (0, 4, 3)),
        ("-2:", (3, 4)),
        ("::-2", (4, 2, 0)),
        (" 1 , 2 ", (1, 2)),
        ("final", (4,)),
        (3, (3,)),
        (-1, (4,)),
        (np.int64(2), (2,)),
        ([0, "-1"], (0, 4)),
        (range(2), (0, 1)),
        (np.arange(1, 3), (1, 2)),
    ],
)
def test_selections(spec: Any, layers: tuple[int, ...]) -> None:
    assert LayerSelection.parse(spec, 4).layers == layers


def test_final_is_its_own_layer_where_the_model_has_one() -> None:
    assert LayerSelection.parse("all", 2, has_final=True).layers == (0, 1, 2, "final")
    assert LayerSelection.parse("2,final", 2, has_final=True).layers == (2, "final")


def test_final_is_not_layer_n_where_the_model_has_a_final_norm() -> None:
    assert place_of("final", (0, 4), 4, has_final=False) == 1
    assert place_of("final", (0, 4, "final"), 4, has_final=True) == 2
    with pytest.raises(LayerSelectionError, match="layer final was not extracted: there are layers 0, 4"):
        place_of("final", (0, 4), 4, has_final=True)


@pytest.mark.parametrize("layer", [-1, "-1", 4, " 4", np.int64(-1), np.int32(4)])
def test_a_layer_by_any_integer(layer: Any) -> None:
    assert place_of(layer, (0, 4), 4, has_final=True) == 1


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("5", r"layer '5' is out of range: valid are 0\.\.4 \(or -5\.\.-1\)"),
        ("-6", "layer '-6' is out of range"),
        ("0,0", "the layer selection '0,0' names layer 0 more than once"),
        ("4,final", "names layer 4 more than once"),
        ("", "layer '' cannot be read"),
        ("one", "layer 'one' cannot be read"),
        ("0:1:0", "layer '0:1:0' cannot be read"),
        ("7:", "the layer selection '7:' selects no layer"),
        ([], "selects no layer"),
        (None, "layer 'None' cannot be read"),
        (True, "layer 'True' cannot be read"),
        (1.0, r"layer '1\.0' cannot be read"),
    ],
)
def test_what_is_refused(spec: Any, message: str) -> None:
    with pytest.raises(LayerSelectionError, match=message):
        LayerSelection.parse(spec, 4)
