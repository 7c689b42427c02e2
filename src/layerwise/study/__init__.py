"""Stores as a whole: summaries, neighbours, probes, comparisons. No model."""
