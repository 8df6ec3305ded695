"""The tokenizer of the tiny model: whole words from a fixed list, single digits, and bytes for everything else.

Byte-level BPE of the `tokenizers` library with an empty merge list: a piece in the vocabulary is one token, any other
piece falls back to its bytes. Nothing is learnt from a corpus, so the same code builds the same bytes everywhere. Every
digit is one token (with or without a space before it), as arithmetic needs.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from stages.lib.procedural.gradeschool import wording

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, EOS = "<pad>", "<eos>"
_PIECE_PATTERN = r"####| ?[A-Za-z]+| ?[0-9]| ?[^\sA-Za-z0-9]|\s"
# Frequent words of grade-school problems, so that real problems are not mostly bytes.
_COMMON_WORDS = """
a about after again all also altogether always am an and another any are as at away back be because been before began
being between big both bought bring but buy by came can car cent cents children class come cost costs could cut day
days did do does dollar dollars done down dozen during each earn earned earns eat eats eight eighteen either eleven
else end equal equally even every everyone everything extra family far feet few fewer fifteen fifth fifty fill find
finally finish first five food for forty four fourteen fourth fraction friend friends from full game games gave get
gets getting give given gives go goes going gone good got great group had half hand has have having he her here high
him his hold holds home hour hours house how however hundred if in inch inches instead into is it items its job just
keep kept know large last later least leave leaves left length less let like little long lost made make makes many
mile miles minute minutes money month months more morning most mother much must my need needs never new next night
nine nineteen no not nothing now number of off old on once one only or order other others our out over own owns paid
paint parents part party pay people per percent piece pieces place plans play plus pounds price put quarter rate read
received remaining rest right room rows run runs said same sale saw school second see sell seven seventeen share she
shop short should show side since sister six sixteen sixty size small so sold some spend spends spent start started
starts still store student students sum take takes teacher team ten than that the their them then there these they
thing things think third thirteen thirty this those thousand three through time times to today together too took total
town tree trees tries twelve twenty twice two under until up us use used uses very walk walks want wants was water way
we week weekend weeks weighs weight well went were what when where which while who whole will win with without word
work worked works worth would write year years yesterday yet you young your
"""
_VERIFIER_WORDS = """
Question Answer Verification Let verify step by step Is the answer correct Yes No Right Wrong Solution Same Differs
"""


def build_word_list() -> list[str]:
    """The sorted vocabulary: words with a leading space, capitalised words also without, digits, punctuation."""
    texts = [*itertools.chain(*wording.WORDINGS.values()), *wording.FRAMES, *wording.QUESTION_FRAMES]
    words = set(re.findall("[A-Za-z]+", re.sub(r"\{\w*\}", " ", " ".join(texts))))
    words |= {word.capitalize() for word in words} | {"We", "Then", "So", "Also"}
    words.update(wording.NAMES, wording.VERBS, wording.UNITS, wording.FRACTION_DIVISORS)
    words.update(_VERIFIER_WORDS.split(), _COMMON_WORDS.split())
    pieces = (
        {f" {word}" for word in words} | {word for word in words if word[0].isupper()} | {f" {d}" for d in range(10)}
    )
    return [*sorted(pieces), *(f" {mark}" for mark in "+-*/=:.,?!()<>$%\\{}^_'\"&#;"), "####"]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer. Encoding adds no special tokens; decoding restores the text exactly."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    words = [as_bytes.pre_tokenize_str(word)[0][0] for word in build_word_list()]
    pieces = list(dict.fromkeys([PAD, EOS, *sorted(pre_tokenizers.ByteLevel.alphabet()), *words]))
    tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(_PIECE_PATTERN), "isolated"), as_bytes]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=EOS,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
        split_special_tokens=True,  # "<eos>" in a question is text, not the end of it
    )
