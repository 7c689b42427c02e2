"""Figures from results: arrays in, matplotlib figures out."""
