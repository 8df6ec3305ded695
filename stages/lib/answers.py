"""Interim: exact numbers only."""
import re
from fractions import Fraction
def number(text):
    m=re.fullmatch(r"\s*\$?\s*(-?\d[\d,]*(?:\.\d+)?)\.?\s*",text or "")
    return Fraction(m.group(1).replace(",","")) if m else None
def extract(text, answer_type=None):
    m=re.findall(r"####\s*(\S.*)",text)
    return m[-1].strip() if m else None
def equal(gold,pred,answer_type=None):
    if pred is None: return False
    a,b=number(gold),number(pred)
    return a==b if a is not None and b is not None else gold.strip()==pred.strip()
def group(answers,answer_type=None):
    ids={}; return [-1 if x is None else ids.setdefault(number(x) if number(x) is not None else x,len(ids)) for x in answers]
