"""The engines: each a detector and an embedder behind the protocols of ``optimind.plugin_api``."""
