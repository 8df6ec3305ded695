"""One execution of a stage: parameters in, files out, processes joined, a journal, MLflow as a mirror.

Knows neither what a stage computes nor any model. A tracking server may be away: that never stops a stage.
"""
