"""Draws a Comparison with matplotlib: one module for each kind of plot."""
