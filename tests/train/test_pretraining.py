"""Pretraining: its pairs and masks are BERT's, it learns, and a run that was stopped goes on as if it had not been."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer, BertForPreTraining

from layerwise import Encoder
from layerwise.errors import SourceError, UsageError
from layerwise.models.load import quiet
from layerwise.models.packed_pretraining import BertForPreTraining as Packed
from layerwise.reports.training import TrainingProgress
from layerwise.train.evaluate import evaluate
from layerwise.train.masking import Masking
from layerwise.train.predict import predict
from layerwise.train.pretraining.batches import Frame, PairDataset, masked_pair, packed_batch
from layerwise.train.pretraining.corpus import Corpus, prepare, read_documents
from layerwise.train.pretraining.documents import documents, sentences
from layerwise.train.pretraining.pairs import build_pairs
from layerwise.train.pretraining.run import PretrainShape, pretrain
from layerwise.train.settings import TrainingSettings
from layerwise.types import TextRecord
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import curve, vocabulary

SHAPE = PretrainShape(vocab_size=300, layers=2, hidden=64, heads=2, max_length=64, batch_tokens=1024)

MASKED = "The ship sails and then the ship [MASK] again. The wave breaks and then the wave breaks again."


def write_corpus(path: Path, count: int = 120, seed: int = 0) -> Path:
    """Documents of one subject each, in whose sentences each noun has a verb of its own: masks can be told."""
    draw = np.random.default_rng(seed)
    subjects = {
        "sea": {"ship": "sails", "wave": "breaks", "gull": "cries", "whale": "dives"},
        "farm": {"horse": "trots", "cock": "crows", "plough": "turns", "barn": "stands"},
        "town": {"tram": "rings", "clerk": "writes", "crowd": "shouts", "clock": "strikes"},
    }
    lines = []
    for number in range(count):
        pairs = list(subjects[list(subjects)[number % 3]].items())
        for _ in range(6):
            noun, verb = pairs[draw.integers(len(pairs))]
            lines.append(f"The {noun} {verb} and then the {noun} {verb} again.")
        lines.append("")
    path.write_text("\n".join(lines), "utf-8")
    return path


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("text") / "small.txt")


@pytest.fixture(scope="module")
def corpus(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus") / "corpus"
    prepare(
        [str(text)], vocabulary(), folder, format=None, text_column=None, longest=61, report=lambda said: None
    )
    return Corpus.load(folder)


@pytest.mark.parametrize(
    ("paragraph", "parts"),
    [
        (
            "He came. He saw? “Yes!” she said. 3.14 is pi.",
            ["He came.", "He saw?", "“Yes!” she said.", "3.14 is pi."],
        ),
        ("天晴了。他问：“去吗？”她说：“去！”", ["天晴了。", "他问：“去吗？”", "她说：“去！”"]),
        ("真的……是吗？！好。", ["真的……", "是吗？！", "好。"]),
        ("나는 학교에 갔다. 날씨가 좋았다.", ["나는 학교에 갔다.", "날씨가 좋았다."]),  # no case
        ("राम घर गया। वह सोया।", ["राम घर गया।", "वह सोया।"]),
        ("هل أنت هنا؟ نعم.", ["هل أنت هنا؟", "نعم."]),
        ("  ", []),
    ],
)
def test_sentences(paragraph: str, parts: list[str]) -> None:
    assert sentences(paragraph) == parts


def test_an_empty_line_ends_a_document() -> None:
    lines = [TextRecord(line) for line in ("A b. C d.", "E f.", "", "", "G h.")]
    assert list(documents(lines, by_blank_lines=True)) == [["A b.", "C d.", "E f."], ["G h."]]
    rows = [TextRecord("A b.\nC d."), TextRecord("E f.")]
    assert list(documents(rows, by_blank_lines=False)) == [["A b.", "C d."], ["E f."]]


def test_half_of_the_pairs_belong_together(corpus: Corpus) -> None:
    numbers = list(range(len(corpus.documents) - 1))
    pairs = build_pairs(corpus, [numbers], 64, seed=0)
    document = np.repeat(numbers, np.diff(corpus.sentences[corpus.documents]))
    for a, b, c, d, random_next in pairs:
        assert a < b
        assert c < d
        assert (b - a) + (d - c) <= 61
        assert len(set(document[a:b])) == len(set(document[c:d])) == 1
        assert (document[a] != document[c]) == bool(random_next)
        if not random_next:
            assert c >= b
    assert 0.4 < pairs[:, 4].mean() < 0.6
    again = build_pairs(corpus, [numbers], 64, seed=0)
    assert np.array_equal(pairs, again)
    assert not np.array_equal(pairs, build_pairs(corpus, [numbers], 64, seed=1))


def test_a_long_run_of_quotes_is_read() -> None:
    """Looking back at each of them would take hours."""
    quotes = '"' * 1_000_000
    assert sentences(f"He left.{quotes} She stayed.") == [f"He left.{quotes}", "She stayed."]


def test_half_of_the_pairs_belong_together_also_where_many_sentences_fill_one(tmp_path: Path) -> None:
    rows = [" ".join(["ship"] * (20 if n % 3 else 2)) + "." + ("" if n % 12 else "\n") for n in range(3000)]
    (tmp_path / "long.txt").write_text("\n".join(rows), "utf-8")
    prepare(
        [str(tmp_path / "long.txt")],
        vocabulary(),
        tmp_path / "corpus",
        format=None,
        text_column=None,
        longest=29,
        report=print,
    )
    corpus = Corpus.load(tmp_path / "corpus")
    found = build_pairs(corpus, [range(len(corpus.documents) - 1)], 32, seed=0)
    assert 0.47 < found[:, 4].mean() < 0.55


def test_each_file_of_a_folder_ends_a_document(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text(f"Text {number}. More.\n\nAnother.", "utf-8")
    (tmp_path / "rows.jsonl").write_text('{"text": "One row."}\n{"text": "Two rows."}\n', "utf-8")
    found = list(read_documents(str(tmp_path), None, None))
    assert found[:2] == [["Text 0.", "More."], ["Another."]]
    assert len(found) == 3 * 2 + 2


def test_a_random_second_part_is_of_the_same_source(corpus: Corpus) -> None:
    half = (len(corpus.documents) - 1) // 2
    groups = [list(range(half)), list(range(half, 2 * half))]
    pairs = build_pairs(corpus, groups, 64, seed=3)
    border = corpus.sentences[corpus.documents[half]]
    assert np.array_equal(pairs[:, 0] < border, pairs[:, 2] < border)


def test_masks_are_of_bert_s_kinds() -> None:
    masking = Masking(mask=4, ordinary=np.arange(5, 100))
    kinds: Counter[str] = Counter()
    ids = np.arange(10, 74)
    maskable = np.arange(1, 63)
    for seed in range(400):
        draw = np.random.default_rng(seed)
        places = masking.choose(ids, maskable, draw)
        assert len(places) == 9  # 15 % of 62
        assert set(places) <= set(maskable)
        masked = masking.replace(ids, places, draw)
        untouched = np.setdiff1d(np.arange(64), places)
        assert np.array_equal(masked[untouched], ids[untouched])
        for place in places:
            same = masked[place] == ids[place]
            kinds["mask" if masked[place] == 4 else "same" if same else "other"] += 1
    total = sum(kinds.values())
    assert kinds["mask"] / total == pytest.approx(0.8, abs=0.03)
    assert kinds["other"] / total == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("field", ["save_every", "minutes"])
def test_steps_and_minutes_below_1_are_refused(field: str, text: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected"):
        pretrain(text, tmp_path / "out", shape=SHAPE, **{field: 0})
    with pytest.raises(UsageError, match="the seed is -1"):
        pretrain(text, tmp_path / "out", shape=SHAPE, settings=TrainingSettings(steps=1, seed=-1))
    assert not (tmp_path / "out").exists()


def test_whole_words_are_masked_whole() -> None:
    following = np.zeros(100, bool)
    following[50:] = True
    masking = Masking(mask=4, ordinary=np.arange(5, 100), following=following)
    ids = np.array([2, 10, 60, 61, 11, 12, 62, 3, 63, 13, 64, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 3])
    maskable = np.array([*range(1, 7), *range(8, 21)])
    words = [{1, 2, 3}, {4}, {5, 6}, {8}, {9, 10}, *({place} for place in range(11, 21))]
    for seed in range(100):
        places = set(masking.choose(ids, maskable, np.random.default_rng(seed)).tolist())
        assert places
        assert all(word <= places or not word & places for word in words)


def test_a_place_of_the_stream_is_always_the_same_pair(corpus: Corpus) -> None:
    tokenizer = vocabulary()
    frame = Frame(tokenizer.cls_token_id, tokenizer.sep_token_id)
    masking = Masking.of(tokenizer, whole_words=False)
    groups = [list(range(len(corpus.documents) - 1))]

    def stream() -> PairDataset:
        return PairDataset(corpus, groups, 64, frame, masking, seed=5, count=10_000)

    one, two = stream(), stream()
    first_pass = len(one.first_pass)
    for place in (0, 7, first_pass - 1, first_pass, 2 * first_pass + 3):
        found, again = one[place], two[place]
        assert np.array_equal(found.input_ids, again.input_ids)
        assert np.array_equal(found.labels, again.labels)
    masks = {tuple(one[place].places) for place in range(20)}
    assert len(masks) > 15  # drawn anew for each


def test_packed_is_what_transformers_computes(corpus: Corpus) -> None:
    """Both heads, and the gradients of both losses, beside the stock model on each sequence alone."""
    tokenizer = vocabulary()
    config = PretrainShape(layers=2, hidden=32, heads=2).config(len(tokenizer), tokenizer.pad_token_id)
    torch.manual_seed(0)
    with quiet():
        packed = Packed.new(config)
        stock = BertForPreTraining(
            PretrainShape(layers=2, hidden=32, heads=2).config(len(tokenizer), tokenizer.pad_token_id)
        )
    stock.load_state_dict(packed.state_dict())
    frame = Frame(tokenizer.cls_token_id, tokenizer.sep_token_id)
    masking = Masking.of(tokenizer, whole_words=False)
    pairs = build_pairs(corpus, [list(range(12))], 64, seed=0)[:6]
    sequences = [masked_pair(corpus, pair, frame, masking, (0, n)) for n, pair in enumerate(pairs)]
    batch = packed_batch(sequences)
    labels = batch.pop("labels")
    packed.train()
    stock.train()
    found = packed(**batch)
    total = torch.nn.functional.cross_entropy(found["prediction_logits"], labels, reduction="sum")
    total = total + torch.nn.functional.cross_entropy(
        found["seq_relationship_logits"], batch["next_labels"], reduction="sum"
    )
    total.backward()
    other = torch.zeros(())
    for one in sequences:
        out = stock(
            input_ids=torch.from_numpy(one.input_ids)[None],
            token_type_ids=torch.from_numpy(one.token_type_ids)[None],
        )
        logits = out.prediction_logits[0, torch.from_numpy(one.places)]
        other = other + torch.nn.functional.cross_entropy(
            logits, torch.from_numpy(one.labels), reduction="sum"
        )
        other = other + torch.nn.functional.cross_entropy(
            out.seq_relationship_logits, torch.tensor([one.random_next]), reduction="sum"
        )
    other.backward()
    assert total.item() == pytest.approx(other.item(), rel=1e-5)
    theirs = dict(stock.named_parameters())
    for name, weight in packed.named_parameters():
        torch.testing.assert_close(weight.grad, theirs[name].grad, rtol=1e-3, atol=1e-4)


def test_it_learns_and_everyone_reads_it(text: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    how = TrainingSettings(steps=400, lr=3e-3, log_every=25, precision="fp32")
    report = pretrain(text, folder, shape=SHAPE, settings=how, save_every=200)
    assert report is not None
    first, last = min(curve(folder, "mlm_loss").items()), max(curve(folder, "mlm_loss").items())
    assert last[1] < first[1] - 2
    # Of a sentence's eleven tokens, the most frequent one ("the") is two: to always say it is right in less than 20 %.
    assert report.scores["masked_accuracy_small"] > 0.7
    assert report.scores["nsp_accuracy_small"] > 0.6
    again = evaluate(str(folder), text)
    assert again.scores["masked_accuracy"] > 0.7
    assert again.scores["perplexity"] < 5
    (tmp_path / "masks.txt").write_text(f"{MASKED}\n", "utf-8")
    [filled] = predict(str(folder), tmp_path / "masks.txt", top=3)
    assert filled.masks[0][0][0] == "sails"
    with quiet():
        model = AutoModelForMaskedLM.from_pretrained(folder).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(MASKED, return_tensors="pt")
    place = int((ids.input_ids[0] == tokenizer.mask_token_id).nonzero())
    with torch.no_grad():
        share = model(**ids).logits[0, place].softmax(-1)
    assert tokenizer.convert_ids_to_tokens(int(share.argmax())) == "sails"
    assert float(share.max()) == pytest.approx(filled.masks[0][0][1], abs=1e-4)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config["architectures"] == ["BertForPreTraining"]
    assert config["hidden_dropout_prob"] == 0.1
    assert Encoder.from_pretrained(str(folder)).encode("The ship sails")[0].hidden_states.shape[0] == 3


def test_bfloat16_learns_as_float32_does(text: Path, tmp_path: Path) -> None:
    """Also with attention in float32 inside, which takes the states and hands their gradients back in bfloat16."""
    shape = PretrainShape(**{**vars(SHAPE), "layers": 2, "dropout": 0.0})
    for precision in ("fp32", "bf16"):
        how = TrainingSettings(steps=30, log_every=5, lr=3e-3, precision=precision)
        report = pretrain(text, tmp_path / precision, shape=shape, settings=how)
        assert report is not None and report.precision == precision
    one, other = (curve(tmp_path / precision, "mlm_loss") for precision in ("fp32", "bf16"))
    assert other == pytest.approx(one, rel=0.01)
    assert one != other
    assert one[30] < one[5] - 0.3


def test_a_resumed_run_has_the_losses_of_an_undisturbed_one(text: Path, tmp_path: Path) -> None:
    shape = PretrainShape(**{**vars(SHAPE), "layers": 1, "dropout": 0.1})
    how = TrainingSettings(steps=24, log_every=1, lr=1e-3)
    pretrain(text, tmp_path / "whole", shape=shape, settings=how, save_every=10)
    stopped = tmp_path / "stopped"
    assert pretrain(text, stopped, shape=shape, settings=how, save_every=10, minutes=1e-6) is None
    assert not (stopped / "config.json").exists()
    with pytest.raises(UsageError, match="was begun with lr 0.001, and now it is 0.01"):
        pretrain(text, stopped, shape=shape, settings=TrainingSettings(steps=24, lr=1e-2), resume=True)
    assert pretrain(text, stopped, shape=shape, settings=how, save_every=10, resume=True) is not None
    assert curve(stopped) == curve(tmp_path / "whole")
    with pytest.raises(UsageError, match="is finished"):
        pretrain(text, stopped, shape=shape, settings=how, save_every=10, resume=True)


def test_the_log_of_a_resumed_run_is_that_of_an_undisturbed_one(text: Path, tmp_path: Path) -> None:
    """Also where a checkpoint stands between two of its lines."""
    how = TrainingSettings(steps=24, log_every=7, lr=1e-3)

    def stop(progress: TrainingProgress) -> None:
        if progress.step == 13:
            raise KeyboardInterrupt

    whole = pretrain(text, tmp_path / "whole", shape=SHAPE, settings=how, save_every=10)
    with pytest.raises(KeyboardInterrupt):
        pretrain(text, tmp_path / "stopped", shape=SHAPE, settings=how, save_every=10, progress=stop)
    report = pretrain(text, tmp_path / "stopped", shape=SHAPE, settings=how, save_every=10, resume=True)
    for name in ("loss", "mlm_loss", "masked_accuracy", "nsp_loss", "nsp_accuracy", "tokens"):
        assert curve(tmp_path / "stopped", name) == curve(tmp_path / "whole", name)
    assert report is not None
    assert whole is not None
    assert report.trained_tokens == whole.trained_tokens


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_its_log_anew(
    text: Path, tmp_path: Path
) -> None:
    how = TrainingSettings(steps=6, log_every=1)

    def stop(progress: TrainingProgress) -> None:
        raise KeyboardInterrupt

    pretrain(text, tmp_path / "first", shape=SHAPE, settings=how, save_every=6)
    folder, model = tmp_path / "out", str(tmp_path / "first")
    same = PretrainShape(max_length=64, batch_tokens=1024)
    with pytest.raises(KeyboardInterrupt):
        pretrain(text, folder, model=model, shape=same, settings=how, save_every=6, progress=stop)
    pretrain(text, folder, model=model, shape=same, settings=how, save_every=6, resume=True)
    steps = [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    assert steps == [0, 1, 2, 3, 4, 5, 6, 6]


def test_a_corpus_of_one_document_has_no_random_pairs(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("A cat sat. A dog ran. " * 40, "utf-8")
    with pytest.raises(SourceError, match="expected at least two, with an empty line"):
        pretrain(tmp_path / "one.txt", tmp_path / "out", shape=SHAPE, settings=TrainingSettings(steps=1))
    assert not (tmp_path / "out").exists()
