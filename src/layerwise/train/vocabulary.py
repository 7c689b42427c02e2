"""A WordPiece vocabulary of one's own (Wu et al. 2016, §4.1), trained by the tokenizers library, split as BERT splits.

Chinese characters are words of their own (Devlin et al., multilingual BERT), so every character that is frequent
enough is a piece.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertTokenizer

from layerwise.errors import UsageError

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MOST_LETTERS = 12_000
"""Characters that become pieces at most: more than any standard list of Chinese has in use."""


LONG_WORD = re.compile(r"[^\W_\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]{101,}")
"""What WordPiece takes for unknown, whatever its pieces: a word of more than 100 characters. Training on one would take
time with the square of its length. (A Chinese character is a word.)"""


def train_vocabulary(texts: Sequence[str], size: int, *, cased: bool, max_length: int = 512) -> Any:
    """A BERT tokenizer with a vocabulary of at most `size` pieces, special ones included.

    The same texts always give the same vocabulary.

    Args:
        cased: keep capitals and accents; without, both are dropped, as in BERT's uncased models.
        max_length: what the tokenizer says of its model.

    Raises:
        UsageError: there is room for no piece.
    """
    check_size(size)
    backend = _splitting(models.WordPiece(unk_token="[UNK]"), cased)
    texts = [LONG_WORD.sub(" ", text) if len(text) > 100 else text for text in texts]
    first, following = _letters(backend, texts)
    letters = [one for one, _ in sorted(first.items(), key=lambda pair: (-pair[1], pair[0]))]
    letters = sorted(letters[: min(MOST_LETTERS, (size - len(SPECIAL)) // 2)])
    # The trainer numbers letters inside words in the order of a hash table, and by these numbers it breaks ties:
    # numbered beforehand, as "special" tokens, they make it the same each time.
    inside = [f"##{one}" for one in letters if one in following]
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=2,
        limit_alphabet=len(letters),
        initial_alphabet=letters,
        special_tokens=[*SPECIAL, *inside],
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    trained = _splitting(models.WordPiece(backend.get_vocab(), unk_token="[UNK]"), cased)
    return _bert_tokenizer(trained, cased, max_length)


def check_size(size: int) -> None:
    """Refuse a vocabulary too small to hold anything.

    Raises:
        UsageError: it is.
    """
    if size < 100:
        raise UsageError(f"the vocabulary size is {size}: expected at least 100.")


def _splitting(model: Any, cased: bool) -> Tokenizer:
    """A model behind BERT's way to split a text into words."""
    backend = Tokenizer(model)
    backend.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=not cased, lowercase=not cased
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return backend


def _letters(backend: Tokenizer, texts: Iterable[str]) -> tuple[Counter[str], set[str]]:
    """How often each character is in the words of the texts, and which are not always a word's first."""
    counts: Counter[str] = Counter()
    following: set[str] = set()
    for text in texts:
        normal = backend.normalizer.normalize_str(text)
        counts.update(normal)
        for word, _ in backend.pre_tokenizer.pre_tokenize_str(normal):
            if len(word) > 1:
                following.update(word[1:])
    for one in [one for one in counts if one.isspace()]:
        del counts[one]
    return counts, following


def _bert_tokenizer(backend: Tokenizer, cased: bool, max_length: int) -> Any:
    backend.add_special_tokens(list(SPECIAL))
    numbers = {token: backend.token_to_id(token) for token in SPECIAL}
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(token, numbers[token]) for token in ("[CLS]", "[SEP]")],
    )
    backend.decoder = decoders.WordPiece(prefix="##")
    return BertTokenizer(
        tokenizer_object=backend,
        do_lower_case=not cased,
        strip_accents=not cased,
        tokenize_chinese_chars=True,
        model_max_length=max_length,
    )
