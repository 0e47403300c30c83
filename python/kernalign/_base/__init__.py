"""Words without arrays: what every room above may use."""
