"""Models: the only room that imports transformers' models."""
