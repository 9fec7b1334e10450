"""Models that are described by data: which there are, where their files lie, and how they are fetched and checked."""
