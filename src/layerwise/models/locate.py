"""From a model's name to a folder of files: an embedded model, a local folder, or the Hub."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from layerwise.errors import ModelNotFoundError, UnsafeWeightsError, UsageError
from layerwise.models.embedded import SHA256, bring_again, embedded_folder
from layerwise.whole_file import local_path

_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True)
class ModelFiles:
    """A model that lies ready on this disk.

    Attributes:
        name: as the user gave it.
        folder: where its files are.
        revision: the resolved commit of a Hub model, else None.
        weights: the files that the weights are read from.
        pickled: whether the weights are pickles (only ever with the user's consent).
    """

    name: str
    folder: Path
    revision: str | None
    weights: tuple[Path, ...]
    pickled: bool = False

    @cached_property
    def weights_sha256(self) -> str:
        """One checksum over all weight files (of the file itself if there is one); they are read for it."""
        return _sha256(self.weights)


def locate(name: str, revision: str | None = None, allow_pickle: bool = False) -> ModelFiles:
    """Find a model's files; the network is touched only for a name that is no local folder.

    Raises:
        UsageError: a revision of a model that is not on the Hub.
        ModelNotFoundError: there is no such model; the message lists what was tried.
        UnsafeWeightsError: the weights are pickled and `allow_pickle` is False, or an embedded
            model's weights do not have the expected checksum.
        MissingExtraError: the package with the model 'minilm' is not installed.
    """
    if not isinstance(name, str | Path):
        raise UsageError(f"a model is {name!r}: expected its name or folder, a string or a path.")
    if revision is not None and (_is_folder(name) or name in SHA256):
        raise UsageError(
            f"the revision {revision!r} was given for {name!r}, which is {'a folder' if _is_folder(name) else 'embedded'}: "
            "revisions are those of models on the Hugging Face Hub; leave it out."
        )
    if _is_folder(name):
        return _weights(name, local_path(name).resolve(), None, allow_pickle)
    if name in SHA256:
        return _embedded(name)
    if not name or _is_file(name):
        raise ModelNotFoundError(
            f"the model {name!r} is {'a file' if name else 'no name'}: expected a model folder, a name on the "
            f"Hugging Face Hub, or {' or '.join(map(repr, SHA256))}."
        )
    folder, commit = _download(name, revision, allow_pickle)
    return _weights(name, folder, commit, allow_pickle)


def _embedded(name: str) -> ModelFiles:
    files = _weights(name, embedded_folder(name), None, allow_pickle=False)
    if files.weights_sha256 != SHA256[name]:
        raise UnsafeWeightsError(
            f"the weights of the embedded model {files.folder / 'model.safetensors'} have sha256 "
            f"{files.weights_sha256}, expected {SHA256[name]}; {bring_again(name)}"
        )
    return files


def _weights(name: str, folder: Path, commit: str | None, allow_pickle: bool) -> ModelFiles:
    if not (folder / "config.json").is_file():
        raise ModelNotFoundError(
            f"the folder {folder} has no config.json: expected a model folder as `save_pretrained` writes it."
        )
    safe = safetensors_files(folder)
    if safe:
        _refuse_pointers(safe)
        return ModelFiles(name, folder, commit, tuple(safe))
    pickled = sorted({path for pattern in _PICKLED for path in folder.glob(pattern)})
    if not pickled:
        raise ModelNotFoundError(
            f"the folder {folder} has no weights: expected model.safetensors beside config.json."
        )
    if not allow_pickle:
        raise UnsafeWeightsError(
            f"the model {name!r} has only pickled weights ({pickled[0].name}), and loading a pickle can run code: "
            "convert them to safetensors, or pass --allow-pickle (allow_pickle=True) if you trust their source."
        )
    return ModelFiles(name, folder, commit, tuple(pickled), pickled=True)


def safetensors_files(folder: Path) -> list[Path]:
    """The files that transformers reads the weights from, and no others: one, or those of an index.

    Raises:
        UnsafeWeightsError: the index names something else than safetensors in the folder itself.
    """
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if whole.is_file():
        return [whole]
    if not index.is_file():
        return []
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
        odd = [name for name in names if Path(name).name != name or not name.endswith(".safetensors")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelNotFoundError(f"{index} cannot be read: expected the index of sharded weights.") from error
    if odd:
        raise UnsafeWeightsError(
            f"{index} names {odd[0]!r}: expected .safetensors files in the same folder, and nothing else is loaded."
        )
    lacking = [name for name in names if not (folder / name).is_file()]
    if lacking:
        raise ModelNotFoundError(
            f"{folder} lacks {lacking[0]}, which its index of weights names: fetch it again."
        )
    return [folder / name for name in names]


def _refuse_pointers(weights: list[Path]) -> None:
    """Name the commonest reason why weights cannot be read: a clone of the Hub without git-lfs."""
    for path in weights:
        with path.open("rb") as stream:
            if stream.read(23) == b"version https://git-lfs":
                raise ModelNotFoundError(
                    f"{path} is a git-lfs pointer in the place of the weights: run `git lfs pull` in that folder."
                )


def _is_file(name: str) -> bool:
    try:
        return local_path(name).is_file()
    except (OSError, RuntimeError):
        return False


def _is_folder(name: str) -> bool:
    try:
        return bool(name) and local_path(name).is_dir()
    except (OSError, RuntimeError):  # too long a name, no such user
        return False


def _sha256(files: Sequence[Path]) -> str:
    digests = []
    for path in files:
        blob = path.resolve().name
        if re.fullmatch(r"[0-9a-f]{64}", blob):  # the Hub's cache names large files by their sha256
            digests.append(blob)
            continue
        with path.open("rb") as stream:
            digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _download(name: str, revision: str | None, allow_pickle: bool) -> tuple[Path, str]:
    """Fetch a Hub model (or find it in the Hub's cache): its folder and commit."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    tried = f"tried: the embedded models ({', '.join(map(repr, SHA256))}), the local folder {Path(name).absolute()}"
    patterns = [
        "*.json",
        "*.txt",
        "*.model",
        "*.safetensors",
        "README.md",
        *(_PICKLED if allow_pickle else ()),
    ]
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    try:
        folder = Path(
            snapshot_download(name, revision=revision, allow_patterns=patterns, ignore_patterns=["*/*"])
        )
    except HFValidationError:
        raise ModelNotFoundError(
            f"there is no model {name!r} ({tried}; it is not a Hub name like 'org/model')."
        ) from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no answer"
        at = f" at revision {revision!r}" if revision else ""
        raise ModelNotFoundError(
            f"there is no model {name!r}{at} ({tried}, the Hugging Face Hub: {status}); check the name, the "
            "revision, and your access to it."
        ) from error
    except (LocalEntryNotFoundError, OSError) as error:
        reason = "offline because HF_HUB_OFFLINE is set" if offline else "not reachable"
        raise ModelNotFoundError(
            f"there is no model {name!r} ({tried}, the Hugging Face Hub's cache, the Hub itself: {reason}); "
            "give a local folder, or download the model where there is a network."
        ) from error
    if not (folder / "config.json").is_file():
        raise ModelNotFoundError(f"the Hub's {name!r} has no config.json: it is not a transformers model.")
    return folder, folder.name
