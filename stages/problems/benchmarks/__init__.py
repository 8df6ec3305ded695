"""Published benchmarks as Problem records, split so that no question is in two splits.

One file per benchmark reads its rows (`gsm8k`, `hendrycks_math`, `aime`, `mmlu`, `gpqa`, `humaneval`, `codeforces`), one
file per kind of source loads them (`bundled`, `path`, `hub`), `splits` assigns questions to splits, `provenance` accounts
for every row, and `__main__` is the stage. An adapter has `LICENCE` (of the published rows) and `parse_row(row, seed)`,
which returns the fields of a Problem or raises Reject.
"""
