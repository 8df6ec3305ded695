"""One execution of a stage: parameters in, files out, processes joined, a journal, MLflow as a mirror of it.

Knows neither what a stage computes nor any model. A tracking server that is down never stops a stage.
"""
