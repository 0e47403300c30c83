"""Benchmarks: interleaved comparisons of kernalign with other libraries on the same work."""
