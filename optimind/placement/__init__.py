"""`placement`: how large and how good the faces are where people sit, on a live or recorded picture."""
