"""The pipeline: stages in four chapters, shared rooms in lib, commands.

problems     chapter 1, what is asked: benchmarks, aime, ood
generators   chapter 2, who answers: base, generator, samples
verifiers    chapter 3, who judges: labels, orm, prm, genrm
evaluation   chapter 4, what it is worth: scores, best_of_n, report

dvc.yaml has the stages in reading order; a stage reads only what earlier stages wrote. A stage imports lib and no other
stage; lib imports no stage; commands may import both.
"""
