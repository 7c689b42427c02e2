"""Models: the only room that imports transformers' models."""

import os

# Said before transformers and huggingface_hub are imported: layerwise sends no telemetry.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
