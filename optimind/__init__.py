"""OptiMind: a pluggable attendance and analytics camera module."""

__version__ = "0.1.0"
