"""The code of the pages on training runs, as that of the other documents does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.test_documents import TRAINING, run_code


@pytest.mark.parametrize("document", TRAINING)
def test_code_runs(document: str, tmp_path: Path) -> None:
    run_code(document, tmp_path)
