"""Stage augmentation: new training problems from those of `train` (see `__main__.py`).

Knows problems, programs and agents that write; must not know who trains on what it makes, nor read a test problem but to
keep it out.
"""
