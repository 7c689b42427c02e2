"""Models: the only room that imports transformers' models."""

import os

# Said before transformers and huggingface_hub are imported: layerwise sends no telemetry.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
