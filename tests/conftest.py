"""What holds for every test."""

from hypothesis import settings

# A deadline per example fails on a busy machine; how fast a thing is, the benchmarks say.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
