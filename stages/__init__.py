"""Assay's pipeline, in reading order. Each stage reads only what earlier stages wrote.

benchmarks    raw benchmark files            -> Problem records in four splits
base          bundled, from scratch, or hub  -> the pretrained model everything starts from
generator     train problems                 -> base fine-tuned on gold solutions
samples       generator                      -> N solutions per problem, graded
orm           samples of verifier problems   -> the outcome verifier
scores        samples x verifiers            -> a score for every sample
best_of_n     samples and scores             -> curves for every N, intervals, the table
"""
