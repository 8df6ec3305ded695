"""Models and data sets in the form in which the Hugging Face hub holds them: files that its libraries read, and a card.

It knows the forms of transformers and datasets, and how a card is written. It knows no stage: what a model was trained on
and how good it is are told to it as text and numbers.
"""
