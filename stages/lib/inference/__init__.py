"""Drawing solutions and reading many continuations of one prompt.

Knows neither training nor what a solution is worth.
"""
