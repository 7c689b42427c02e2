"""What the arrays of a store say: geometry, neighbours. No model."""
