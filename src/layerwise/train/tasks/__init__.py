"""What a model can be fine-tuned for."""
