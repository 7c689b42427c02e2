"""Shipping: one layer of a model as a folder that other programs load."""
