"""What a user gave becomes checked, preprocessed rows."""
