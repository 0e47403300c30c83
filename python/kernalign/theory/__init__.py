"""Kernel and task: spectra, target alignment, KARE, learning curves."""
