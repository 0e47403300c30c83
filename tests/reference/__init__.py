"""Naive float64 oracles that never import the package."""
