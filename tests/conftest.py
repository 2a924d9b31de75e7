"""What every test shares: hypothesis draws the same examples on every machine.

`pytest --hypothesis-profile search` looks for new ones instead.
"""

from hypothesis import settings

settings.register_profile("deterministic", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("search", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile("deterministic")
