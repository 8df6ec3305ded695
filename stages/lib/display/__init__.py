"""Tables on the terminal and in Markdown, pictures.

Knows no result by name but what it is handed.
"""
