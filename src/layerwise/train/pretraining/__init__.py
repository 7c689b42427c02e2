"""Pretraining from raw text: vocabulary, sentence pairs, masks, and both losses of BERT."""
