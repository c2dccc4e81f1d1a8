"""For all tests."""

from hypothesis import settings

# The first example of a test may build the schemas that it uses, which takes longer than the others.
settings.register_profile("talktiko", deadline=None)
settings.load_profile("talktiko")
