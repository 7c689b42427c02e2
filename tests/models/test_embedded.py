"""The models that come along: their weights are those that were measured, and they do what their cards say."""

from __future__ import annotations

from pathlib import Path

import pytest

from layerwise import Encoder
from layerwise.errors import UnsafeWeightsError
from layerwise.models.embedded import BILINGUAL, MINILM, SHA256
from layerwise.models.locate import locate
from layerwise.models.stored_dtype import stored_dtypes
from layerwise.train.evaluate import evaluate
from layerwise.train.predict import predict

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", [MINILM, BILINGUAL])
def test_the_weights_are_checked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHA256, name, "0" * 64)
    with pytest.raises(
        UnsafeWeightsError, match="expected 0{64}; (reinstall them: pip|install layerwise again)"
    ):
        Encoder.from_pretrained(name)


def test_a_folder_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / BILINGUAL).mkdir()
    (tmp_path / BILINGUAL / "config.json").write_text("{}", "utf-8")
    (tmp_path / BILINGUAL / "model.safetensors").write_bytes(b"other")
    monkeypatch.chdir(tmp_path)
    assert locate(BILINGUAL).folder == tmp_path / BILINGUAL


def test_bilingual_is_small_and_has_a_card() -> None:
    files = locate(BILINGUAL)
    assert set(stored_dtypes(files)) == {"F16"}
    assert sum(path.stat().st_size for path in files.folder.iterdir()) < 45e6
    card = (files.folder / "README.md").read_text("utf-8")
    assert "license: apache-2.0" in card and "all-MiniLM-L6-v2" in card and "CC BY-SA" in card


def test_bilingual_runs_packed_and_knows_the_characters() -> None:
    encoder = Encoder.from_pretrained(BILINGUAL)
    assert encoder.self_check.packed
    text = "北京是中国的首都。 The sea is near."
    [states] = encoder.encode([text])
    surfaces = [unit.surface for unit in states.units]
    assert surfaces == [*"北京是中国的首都。", "The", "sea", "is", "near", "."]
    assert states.hidden_states.shape == (7, 14, 384)
    assert encoder.tokenizer.unk_token_id not in encoder.tokenizer(text)["input_ids"]


def test_bilingual_fills_masks_in_both_languages(tmp_path: Path) -> None:
    texts = {
        "He was born in [MASK] 1975 in London.": "november",
        "She went to the [MASK] to buy some bread.": "market",
        "北京[MASK]中国的首都。": "是",
        "他毕业于北京大[MASK]。": "学",
        "我们今天去看电[MASK]。": "影",
    }
    source = tmp_path / "masked.txt"
    source.write_text("\n".join(texts), "utf-8")
    for filled, expected in zip(predict(BILINGUAL, source), texts.values(), strict=True):
        assert expected in [token for token, _ in filled.masks[0]], filled


@pytest.mark.parametrize(("language", "told"), [("en", 0.2), ("zh", 0.15)])
def test_bilingual_tells_masked_tokens_of_texts_it_has_not_seen(
    language: str, told: float, tmp_path: Path
) -> None:
    """Fiction, which it was not trained on."""
    lines = (EXAMPLES / f"prose_{language}.txt").read_text("utf-8").splitlines()
    documents = ["\n".join(lines[at : at + 15]) for at in range(0, len(lines), 15)]
    source = tmp_path / f"{language}.txt"
    source.write_text("\n\n".join(documents), "utf-8")
    scores = evaluate(BILINGUAL, source).scores
    assert scores["masked_accuracy"] > told and scores["nsp_accuracy"] > 0.55
