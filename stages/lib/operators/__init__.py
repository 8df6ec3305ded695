"""Operators: changes of a problem whose answer stays, is computed anew or is proven to be lost, a file for each.

How to add one: see `registry.py`. Must not know which problems are changed, or what for.
"""
