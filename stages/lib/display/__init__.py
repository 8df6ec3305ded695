"""Tables for the terminal and Markdown, and pictures.

Draws what it is given; computes no result and reads no file of a stage.
"""
