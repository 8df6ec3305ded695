"""Stage selection: which problems the generator is trained on, and which ones the verifiers (see `__main__.py`).

Knows the pools of the earlier stages and the methods of `lib/selection`; must not know who trains on what it chooses, nor
read a test problem.
"""
