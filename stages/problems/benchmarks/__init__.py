"""Raw benchmarks into Problem records, split so that no question stands in two splits.

One file per benchmark says what a published row means (`gsm8k`, `hendrycks_math`, `aime`, `mmlu`, `gpqa`, `humaneval`,
`codeforces`), one file per kind of source says where rows come from (`bundled`, `path`, `hub`), `splits` says which
split a question goes to, and `__main__` is the stage.
"""
