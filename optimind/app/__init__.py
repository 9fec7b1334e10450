"""The composition root: the only place where the parts are made and put together."""
