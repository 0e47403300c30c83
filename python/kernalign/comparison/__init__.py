"""Many representations, layers and metrics in one call."""
