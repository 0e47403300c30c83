"""The only room that calls the extension: states of big data."""
