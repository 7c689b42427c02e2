"""A store in other formats. Everything streams: memory is one batch of rows, not the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from layerwise.errors import StoreError, UsageError
from layerwise.store.export_arrays import write_hdf5, write_npy, write_safetensors, write_zarr
from layerwise.store.export_tables import write_csv, write_jsonl, write_parquet, write_units
from layerwise.store.faults import writing
from layerwise.store.folder import remove
from layerwise.store.reader import Columns, Store

Write = Callable[[Path], None]


def export(
    store: Store,
    target: str | Path,
    layers: str | int | Sequence[int | str] | None = None,
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Write a store as the target's ending says; returns the files written.

    | ending | what is written |
    |---|---|
    | `.npy` | one file a layer, `NAME_layer_07.npy`, and the units in `NAME_units.csv` |
    | `.safetensors` | one file, a tensor a layer, and the units in `NAME.safetensors_units.csv` |
    | `.h5`, `.zarr` | one array a layer and one a column of the units |
    | `.parquet` | the store's own columns |
    | `.csv` | one column a dimension, `layer_07_0` … |
    | `.jsonl` | a line a text, as Google's `extract_features.py` writes it |

    Rows that are not embedded are NaN (null in `.parquet` and `.jsonl`, empty in `.csv`). A target
    appears under its name only when it is whole.

    Args:
        store: what to export.
        target: where to.
        layers: a selection as in `extract`; None or `"all"` for every layer of the store.
        overwrite: replace what an earlier export wrote there.

    Raises:
        UsageError: an ending there is no format for.
        StoreError: the target exists, or cannot be written.
        StoreFullError: the disk is full; nothing is left behind.
        LayerSelectionError: a layer is not in the store.
        MissingExtraError: `.h5` needs h5py, `.zarr` needs zarr.
    """
    path = Path(target)
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise UsageError(f"cannot export to {path.name!r}: the name must end in one of {', '.join(FORMATS)}.")
    if not path.parent.is_dir():
        raise StoreError(f"the folder {path.parent} of the target does not exist: make it first.")
    files = FORMATS[ending](store, path, store.select(layers))
    for file in files:
        _refuse_existing(file, overwrite)
    # All are written before the first gets its name.
    with ExitStack() as stack:
        for file, write in files.items():
            temporary = stack.enter_context(_temporary(file))
            with writing(file, "target"):
                write(temporary)
        for file in files:
            with writing(file, "target"):
                remove(file)
                _temporary_name(file).rename(file)
    return list(files)


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if not (path.exists() or path.is_symlink()):
        return
    if not overwrite:
        raise StoreError(f"the target {path} exists: choose another name or pass --overwrite.")
    if path.is_dir() and not (path.suffix.lower() == ".zarr" and (path / "zarr.json").is_file()):
        raise StoreError(f"the target {path} is a folder that no export wrote: choose another name.")


def _temporary_name(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A name beside the target; whatever is left under it at the end is removed."""
    temporary = _temporary_name(path)
    remove(temporary)
    try:
        yield temporary
    finally:
        remove(temporary)


def _units_beside(store: Store, path: Path, name: str) -> dict[Path, Write]:
    return {path.with_name(f"{name}_units.csv"): partial(write_units, store)}


def _npy(store: Store, path: Path, columns: Columns) -> dict[Path, Write]:
    arrays: dict[Path, Write] = {
        path.with_name(f"{path.stem}_{column}.npy"): partial(write_npy, store.layer(layer))
        for layer, column in columns.items()
    }
    return arrays | _units_beside(store, path, path.stem)


def _safetensors(store: Store, path: Path, columns: Columns) -> dict[Path, Write]:
    return {path: partial(write_safetensors, store, columns)} | _units_beside(store, path, path.name)


def _one_file(
    write: Callable[[Store, Columns, Path], None],
) -> Callable[[Store, Path, Columns], dict[Path, Write]]:
    return lambda store, path, columns: {path: partial(write, store, columns)}


FORMATS: dict[str, Callable[[Store, Path, Columns], dict[Path, Write]]] = {
    ".npy": _npy,
    ".safetensors": _safetensors,
    ".h5": _one_file(write_hdf5),
    ".zarr": _one_file(write_zarr),
    ".parquet": _one_file(write_parquet),
    ".csv": _one_file(write_csv),
    ".jsonl": _one_file(write_jsonl),
}
