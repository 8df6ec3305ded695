"""Inference: sampling from a language model, and forward passes over many continuations of one prompt.

Knows neither training nor what a solution is worth.
"""
