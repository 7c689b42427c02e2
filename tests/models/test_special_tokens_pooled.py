"""Poolings that include the special tokens, as sentence-transformers pools."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tiny import one_thread, reference_states, shared_encoder, tiny_tokenizer

__all__ = ["one_thread"]

REDUCED = {
    "mean_with_special": lambda hidden: hidden.mean(axis=1),
    "max_with_special": lambda hidden: hidden.max(axis=1),
    "last_with_special": lambda hidden: hidden[:, -1],
}


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "unigram"])
@pytest.mark.parametrize("pooling", REDUCED)
@pytest.mark.parametrize(
    "text", ["The quick brown fox.", "我爱这本书。", "", ("One text.", "And its pair 😀.")]
)
def test_every_token_counts_once(kind: str, pooling: str, text: str | tuple[str, str]) -> None:
    [states] = shared_encoder(kind).encode([text], unit="text", pooling=pooling)
    inputs = tiny_tokenizer(kind)(*((text,) if isinstance(text, str) else text), return_token_type_ids=True)
    hidden = reference_states(kind, inputs["input_ids"], inputs["token_type_ids"])
    np.testing.assert_allclose(states.numpy()[:, 0], REDUCED[pooling](hidden), atol=1e-5)
    assert states.units[0].embedded


@pytest.mark.parametrize("pooling", ["mean_with_special", "max_with_special", "last_with_special"])
def test_over_windows_the_first_opens_and_the_last_closes(pooling: str) -> None:
    """Against a mean over single tokens, and the special tokens of the first and the last window."""
    encoder = shared_encoder("wordpiece")
    text = "the quick brown fox jumps over the lazy dog " * 20
    [pooled] = encoder.encode([text], unit="text", pooling=pooling)
    assert pooled.num_windows > 1
    [tokens] = encoder.encode([text], unit="token")
    [first] = encoder.encode([text], unit="text", pooling="cls")
    tokenizer = tiny_tokenizer("wordpiece")
    ids = tokenizer(text, add_special_tokens=False)["input_ids"][-(encoder.max_length - 2) :]
    closing = reference_states("wordpiece", [tokenizer.cls_token_id, *ids, tokenizer.sep_token_id])[:, -1:]
    whole = np.concatenate([first.numpy(), tokens.numpy(), closing], axis=1)
    np.testing.assert_allclose(pooled.numpy()[:, 0], REDUCED[pooling](whole), atol=1e-5)
