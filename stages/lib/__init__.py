"""Rooms shared by the stages, each a package; README.md beside this file lists them and what each may import.

No room imports a stage or a command.
"""
