"""Metrics of one comparison, in groups that share their parts."""
