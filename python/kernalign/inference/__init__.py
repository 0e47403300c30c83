"""Tests by random pairing."""
