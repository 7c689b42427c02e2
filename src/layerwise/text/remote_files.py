"""Files behind URLs, through fsspec: `s3://`, `gs://`, `https://`, `hf://`, `memory://`, `file://` …"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, BinaryIO, Self, TypeVar, cast
from urllib.parse import urlsplit, urlunsplit

from layerwise.errors import LayerwiseError, MissingExtraError, SourceError
from layerwise.text.formats import READERS, is_known

T = TypeVar("T")

PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "http": "fsspec[http]",
    "https": "fsspec[http]",
    "hf": "huggingface_hub",
    "webdav": "webdav4",
    "oss": "ossfs",
}
"""What brings a protocol; for others fsspec has an extra of the protocol's name, or says more itself."""

Found = tuple[str, str]
"""URL of a file, and its name relative to what was given."""


def find_remote(url: str, format: str | None = None) -> list[Found]:
    """Files that a URL, a URL of a folder or one with wildcards stands for, in the order of their names.

    Of a folder those with a known ending, or all if the format is named.

    Raises:
        SourceError: it does not exist, cannot be reached, or has no file to read.
        MissingExtraError: the filesystem needs a package; the message says which.
    """
    system, path = _filesystem(url)
    if url.startswith(("http://", "https://")):
        return [(url, public(url).rsplit("/", 1)[-1])]  # no folders, and '?' is no wildcard there
    return _reach(url, lambda: _expand(system, path, url, format))


def open_remote(url: str) -> BinaryIO:
    """Open for reading; raises as `find_remote`."""
    system, path = _filesystem(url)
    return cast(BinaryIO, _Opened(_reach(url, lambda: system.open(path, "rb"))))


class _Opened:
    """A remote file; what its library raises while reading (aiohttp has its own classes) is an `OSError`."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def read(self, size: int = -1) -> bytes:
        try:
            return cast(bytes, self._file.read(size))
        except (OSError, ValueError):
            raise
        except Exception as error:
            raise OSError(f"the connection failed: {type(error).__name__} {error}".strip()) from error


def size_remote(url: str) -> int | None:
    """Size in bytes, None where the server does not say; raises as `find_remote`."""
    system, path = _filesystem(url)
    size = _reach(url, lambda: system.size(path))
    return None if size is None else int(size)


def public(url: str) -> str:
    """The URL without user, password and signature: fit for messages and for a store."""
    scheme, host, path, _, _ = urlsplit(url)
    return urlunsplit((scheme, host.rpartition("@")[2], path, "", ""))


def _expand(system: Any, path: str, url: str, format: str | None) -> list[Found]:
    if system.isfile(path):
        return [(url, path.rstrip("/").rsplit("/", 1)[-1])]
    if re.search(r"[*?\[]", path):
        files, base = sorted(system.glob(path)), re.split(r"[^/]*[*?\[]", path)[0]
        files = [file for file in files if system.isfile(file)]
    else:
        files, base = sorted(system.find(path)), path.rstrip("/") + "/"
    if not files:
        raise SourceError(f"{public(url)} does not exist, or there is no file there: check the address.")
    inside = {file: file.removeprefix(base) for file in files}
    stores = {
        found[1]
        for name in inside.values()
        if (found := re.fullmatch(r"((?:.*/)?)(_ledger|_versions)/[^/]*", name))
    } - {""}
    known = [
        file
        for file, name in inside.items()
        if is_known(file, format) and not _hidden(name) and not name.startswith(tuple(stores))
    ]
    if not known:
        raise SourceError(
            f"{public(url)} has {len(files)} files and none that can be read: "
            f"expected endings are {', '.join(READERS)}; or say what they are with --format."
        )
    return [(system.unstrip_protocol(file), file.removeprefix(base)) for file in known]


def _hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _filesystem(url: str) -> tuple[Any, str]:
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        protocol = url.split("://")[0].split("::")[0]
        packages = PACKAGES.get(protocol, f"fsspec[{protocol}]")
        raise MissingExtraError(
            f"reading {protocol}:// needs Python packages that are not installed ({error}); "
            f'run: pip install "{packages}"'
        ) from error
    except ValueError as error:
        raise SourceError(
            f"{public(url)} cannot be opened ({error}): expected a path, or a URL that fsspec knows, "
            "as s3://, gs://, https://, hf://, file://."
        ) from error
    except Exception as error:
        raise _unreachable(url, error) from error
    return system, str(path)


def _reach(url: str, action: Callable[[], T]) -> T:
    try:
        return action()
    except LayerwiseError:
        raise
    except FileNotFoundError as error:
        raise SourceError(f"{public(url)} does not exist: check the address.") from error
    except Exception as error:
        raise _unreachable(url, error) from error


def _unreachable(url: str, error: Exception) -> SourceError:
    """For errors of any kind: every backend has its own (botocore, gcsfs, aiohttp …)."""
    return SourceError(
        f"{public(url)} cannot be reached ({type(error).__name__}: {error}): "
        "check the address, the connection and your credentials."
    )
