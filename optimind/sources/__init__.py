"""Cameras and recordings: each kind is one file with one class on the public ``Source`` protocol."""
