"""Training: pretrain, fine-tune, evaluate, predict, prune; on transformers' Trainer, with layers to choose."""
