"""What the product knows: pure functions and values on the standard library and numpy, no I/O and no clock."""
