"""Chapter 3, verifiers: who judges.

`labels` labels the steps of solutions; `orm`, `prm` and `genrm` train the outcome, process and generative verifiers on the
samples of split `verifier`. Their choices are made on dev; the scored sets are read only to refuse published training data
that repeats them. See README.md beside this file.
"""
