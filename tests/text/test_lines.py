"""Lines that are not UTF-8: the way out fits what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from layerwise.errors import SourceEncodingError
from tests.text.conftest import texts


@pytest.mark.parametrize(
    ("line", "encoding", "said"),
    [
        ("Día O, über, Élan", "latin-1", "WINDOWS-1252"),
        ("señor", "windows-1252", "WINDOWS-1252"),
        ("我爱这本书。", "gb18030", "GB18030"),
        ("我 O", "gb18030", "GB18030"),
    ],
)
def test_the_encoding_is_guessed_from_the_line(line: str, encoding: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(line.encode(encoding))
    with pytest.raises(SourceEncodingError, match=f"iconv -f {said} -t UTF-8 if it is"):
        texts(path)
