"""Chapter 2, generators: who answers.

`base` provides a pretrained model, `generator` fine-tunes it, `samples` draws and grades N solutions for every problem.
Nothing here knows a verifier. See README.md beside this file.
"""
