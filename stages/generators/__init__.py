"""Chapter 2, generators: who answers.

`base` provides a pretrained model, `generator` fine-tunes it, `samples` draws and grades N solutions for every problem.
These know no verifier. `preference` comes after the verifiers, in a second part of the chapter (2b in dvc.yaml): it teaches
the generator from judged solutions. Nothing that verifiers are made from depends on it. See README.md beside this file.
"""
