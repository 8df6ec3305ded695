"""Whether another wording of a question says the same: what no paraphrase may change, in both texts, compared.

Knows words, numbers and formulas; must not know who rewords, nor what a problem is made of beside its text.
"""
