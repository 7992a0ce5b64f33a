"""Settings of the whole suite."""

from hypothesis import settings

# A shared machine makes any single example slow now and then; that says nothing about the code.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
