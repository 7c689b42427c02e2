"""Arrays in, arrays out: windows, alignment, pooling, mixing. No model, no file."""
