"""Chapter 3, who judges: step labels, and the outcome, process and generative verifiers.

labels, orm, prm and genrm learn from the solutions of the split `verifier`; dev alone decides their choices.
"""
