"""`python -m demo`: the whole product, on a scene made from two real portraits."""
