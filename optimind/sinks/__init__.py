"""Where records leave: each sink is one module, on the public plugin API."""
