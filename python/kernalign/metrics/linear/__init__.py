"""Metrics of linear maps, subspaces and shapes."""
