"""Chance level and error of finished states."""
