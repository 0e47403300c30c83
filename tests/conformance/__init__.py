"""What public implementations return on five pairs of inputs, and what the package says to it."""
