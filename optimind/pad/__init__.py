"""Checks of whether a face is a person or a picture of one: each is one module, on the public plugin API."""
