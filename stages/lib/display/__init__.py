"""Results for people: tables (terminal, Markdown, CSV) and pictures (PNG).

Draws what it is given: knows neither where results come from nor how they are computed.
"""
