"""A small language in the form of Python, run without Python: what programs may say, and their exact printed trace.

This room knows syntax trees, values and limits. It knows nothing of problems, models or prompts, and it never compiles,
evaluates or imports what it is given. `run.run_program(source, inputs)` is the way in.
"""
