"""Property tests draw the same examples on every run and keep nothing on disk."""

from hypothesis import settings

settings.register_profile("unit", deadline=None, derandomize=True, database=None, max_examples=100)
settings.load_profile("unit")
