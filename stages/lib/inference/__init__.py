"""Inference: sampling from a language model, and forward passes over many continuations of one prompt.

Knows neither training nor whether a solution is right.
"""
