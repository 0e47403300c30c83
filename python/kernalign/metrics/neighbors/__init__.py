"""Metrics of neighbour lists."""
