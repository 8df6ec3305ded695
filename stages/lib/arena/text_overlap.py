"""Overlap of a text with a reference: ROUGE (package rouge-score), BLEU and chrF (package sacrebleu). For texts alone, such
as summaries: an answer of mathematics is graded by its value (lib/grading), since one digit decides it.

rouge-score's own tokenizer keeps a-z and 0-9 alone, so that every text in another script scores 0; here a word is any run
of letters and digits. ROUGE-L counts the longest common subsequence of the whole text, ROUGE-Lsum that of every line of the
reference with all lines of the text; on one line both are the same (huggingface/evaluate issue 501).

Sources: Lin 2004 (ROUGE), Papineni et al. 2002 (BLEU), Popović 2015 (chrF), Post 2018 (arXiv 1804.08771, sacrebleu).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from rouge_score import rouge_scorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")
_WORD = re.compile(r"[^\W_]+")


class _Words:
    """The tokenizer that rouge-score is given."""

    def tokenize(self, text: str) -> list[str]:
        return _WORD.findall(text.lower())


@cache
def _load_scorer() -> Any:
    return rouge_scorer.RougeScorer(list(ROUGE), tokenizer=_Words())


def compare(text: str, reference: str) -> dict[str, float]:
    """F1 of ROUGE-1, -2, -L and -Lsum, sentence BLEU (exponential smoothing) and chrF, each from 0 to 1."""
    scores = {name: float(score.fmeasure) for name, score in _load_scorer().score(reference, text).items()}
    bleu = BLEU(effective_order=True).sentence_score(text, [reference]).score
    return scores | {"bleu": bleu / 100, "chrf": CHRF().sentence_score(text, [reference]).score / 100}


def summarize(texts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Means of ROUGE over the texts; BLEU and chrF of the corpus, from summed counts, with sacrebleu's default settings."""
    rows = [compare(text, reference) for text, reference in zip(texts, references, strict=True)]
    means = {name: sum(row[name] for row in rows) / len(rows) for name in ROUGE}
    bleu, chrf = (metric.corpus_score(list(texts), [list(references)]).score for metric in (BLEU(), CHRF()))
    return means | {"bleu": bleu / 100, "chrf": chrf / 100}
