"""Text as databases take it."""

__all__ = ["storable"]


def storable(text: str) -> str:
    """Write out the lone surrogates that an undecodable file name leaves in a text: no database takes them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
