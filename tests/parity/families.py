"""What is expected of each family."""

from __future__ import annotations

from layerwise.models.families import FAMILIES

PADDED = {
    "esm",  # packed only without token dropout, which rescales a whole row by its share of mask tokens
    "mpnet",
    "deberta",
    "deberta-v2",
    "megatron-bert",
    "mobilebert",
    "rembert",
    "luke",
    "ibert",
    "longformer",
    "xlm",
    "flaubert",
    "tapas",
    "convbert",
    "fnet",
}
"""Families that a packed batch would make silently wrong."""

EQUAL_LENGTHS = {"mobilebert", "convbert", "fnet"}
"""Families that look at padding through the mask: their batches are not padded."""

PACKED = set(FAMILIES) - PADDED

FINAL = {"eurobert", "roberta-prelayernorm", "xlm-roberta-xl", "esm", "modernbert", "megatron-bert"}
"""Families with a norm after the last block."""
