"""What a decoder's tokenizer makes of texts, and back."""

import pytest
from transformers import AutoTokenizer

from layerwise.models.locate import locate
from layerwise.train.tasks.example import Example
from layerwise.train.tasks.seq2seq import Generation
from layerwise.train.vocabulary import train_vocabulary
from layerwise.train.writing import Writing
from layerwise.types import TextRecord

TEXTS = [
    "On 2024-05-03, at 10:30, twenty-one of 12,345 came.",
    "Élodie said: « C'est 3,5 °C » — isn't it?",
    "今天是2024年5月3日，气温3.5度。",
]


@pytest.fixture(scope="module")
def minilm():
    return AutoTokenizer.from_pretrained(locate("minilm").folder)


def written(writing: Writing, tokenizer, text: str) -> str:
    return writing.text(tokenizer(text)["input_ids"])


def test_a_vocabulary_of_the_targets_gives_them_back_exactly() -> None:
    tokenizer = train_vocabulary(TEXTS * 3, 400, cased=True)
    writing = Writing(tokenizer)
    writing.learn(TEXTS)
    assert [written(writing, tokenizer, text) for text in TEXTS] == TEXTS
    assert (writing.lost, writing.loses_capitals) == (0, False)
    assert writing.as_written("Élodie") == "Élodie"


def test_a_vocabulary_without_capitals_and_accents_says_what_it_loses(minilm) -> None:
    writing = Writing(minilm)
    writing.learn(["On 2024-05-03 twenty-one came."])
    assert written(writing, minilm, "On 2024-05-03 twenty-one came.") == "on 2024-05-03 twenty-one came."
    assert (writing.lost, writing.loses_capitals) == (0, True)
    writing.learn(["un été à la mer"])
    assert writing.lost == pytest.approx(2 / 5)
    writing.learn(["饕餮 b"])
    assert writing.lost == pytest.approx(2 / 3)


def test_a_tokenizer_that_keeps_spaces_is_asked_itself(tmp_path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    backend.train_from_iterator(TEXTS, trainers.BpeTrainer(special_tokens=["<s>", "</s>"]))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")
    writing = Writing(tokenizer)
    writing.learn(TEXTS)
    assert writing.spacing is None
    assert written(writing, tokenizer, TEXTS[0]) == TEXTS[0]


def test_notes_tell_of_unknown_sources_lost_words_and_capitals(minilm) -> None:
    task = Generation(minilm, 64)
    examples = [Example(TextRecord("饕餮在此"), "Un été"), Example(TextRecord("饕餮"), "no")]
    task.prepare(examples)
    list(task.featurise(examples))
    unknown, lost, capitals = task.notes()
    assert "of the tokens are unknown to the model's vocabulary" in unknown
    assert "never write them" in lost
    assert "no capitals" in capitals


def test_spacing_is_kept_with_the_model(minilm) -> None:
    task = Generation(minilm, 64)
    task.prepare([Example(TextRecord("a"), "1 - 2"), Example(TextRecord("b"), "x-y")])
    again = Generation(minilm, 64)
    again.configure(task.document())
    assert written(again.writing, minilm, "3-4 a - b") == "3 - 4 a-b"
