"""The methods of augmentation, a file each: how a training problem becomes another one, and what proves its answer.

A method is a module with `make_candidates(parents, section, context)`, see `candidate.py`, and a row of `METHODS` in
`__main__.py`. Must not know the evaluation sets; the stage keeps what is too close to them out.
"""
