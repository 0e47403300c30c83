"""Other people's names over our engines."""
