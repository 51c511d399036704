"""What holds for all tests: no example of Hypothesis has a deadline, since a busy machine is no fault of the code."""

from hypothesis import settings

settings.register_profile("arrange", deadline=None)
settings.load_profile("arrange")
