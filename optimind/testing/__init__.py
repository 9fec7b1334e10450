"""Fakes and contract tests that ship with OptiMind, for the tests of extensions: built-in and third-party alike."""
