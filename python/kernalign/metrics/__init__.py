"""Numbers of two representations."""
