"""Metrics of Gram matrices."""
