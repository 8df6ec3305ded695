"""The words and sentence templates of the broad pretraining text. They are its own: no split of the problems (`wording.py`)
and no variant of a problem (stages/problems/ood) uses one of them. A test compares the lists."""

from __future__ import annotations

import re

from stages.lib.procedural.gradeschool import wording

_ROLES = """teacher mother sister friend student class team school store family group town shop parents children people
other others first second third last baker farmer doctor uncle aunt club driver guest king neighbor girl boy twin"""
ROLES = tuple(f"the {word}" for word in _ROLES.split())
_TRAITS = "tall kind short quiet happy busy clever brave loud rich little last first second small fast"
TRAITS = tuple(_TRAITS.split())
_THINGS = """games trees items pieces things plans miles years days hours minutes rooms rows pounds dollars cents weeks
flowers candles bottles buttons tickets stones ropes lamps keys hats plates cups fish bricks tiles wheels bells"""
THINGS = tuple(_THINGS.split())
_QUALITIES = "round light dark clean warm wide plain heavy thin blue green red wooden shiny soft long"
QUALITIES = tuple(_QUALITIES.split())

OPENERS = tuple(
    " ".join(sentence.split())
    for sentence in re.findall(
        r"[^.!?]+[.!?]",
        """Hello, can you help me with this? I need some help. Here is a small puzzle for you. This is my homework.
        Hi there! Thanks for helping me. I hope you are well. Could you look at this? My son cannot do this one.
        We had this at school. Let me tell you a story. I like these. This one is short. Read this with me.
        It was raining all day. The shop was closed. We were all tired. It is late and I want to sleep. The sun was up.
        Everyone was happy. Nobody was at home. Good morning! Good evening to you all. You are very good at this.
        Be kind and explain it. Question 7. Exercise 12. Part one. A puzzle for today. A question about things.
        What do you make of it? Tell me what you get.""",
    )
)
SENDERS = """my brother|my sister|my teacher|a friend|our neighbor|the boss|my mother|the new student|an old man|my boss
""".strip().split("|")
WAYS = """asked me this|sent me this|told me this|gave us this|wanted to know this|wrote this for me|showed me this
""".strip().split("|")
TIMES = """yesterday|this morning|last week|at school|on the way home|before dinner|again|in a letter|on Monday|at work
""".strip().split("|")
CLOSERS = ("Thanks!", "Please explain.", "Thank you very much.", "Tell me soon.", "Show your work.", "Be quick.")

_COMPARISONS = {
    "more": (
        "{t} has all that {s} has and {n} {unit} on top",
        "add {n} to the {unit} of {s} and you get those of {t}",
        "{t} : {s} plus {n}",
        "if {s} found {n} more {unit} , {s} would have what {t} has",
    ),
    "fewer": (
        "{t} lacks {n} of the {unit} that {s} has",
        "take {n} from the {unit} of {s} and you get those of {t}",
        "{t} : {s} minus {n}",
        "if {t} found {n} more {unit} , {t} would have what {s} has",
    ),
    "times": (
        "the {unit} of {s} , {n} times over , are what {t} has",
        "multiply the {unit} of {s} by {n} and you get those of {t}",
        "{t} : {s} times {n}",
        "each time {s} gets one of the {unit} , {t} gets {n}",
    ),
    "part": (
        "a {n} of the {unit} {s} has would be enough to match {t}",
        "cut the {unit} of {s} to a {n} and you get those of {t}",
        "{t} : a {n} of {s}",
        "only a {n} of what {s} holds in {unit} is with {t}",
    ),
}
TEMPLATES: dict[str, tuple[str, ...]] = {
    "given": (
        "{t} starts out with {n} {unit}",
        "you can count {n} {unit} at the place of {t}",
        "{t} : {n} {unit}",
        "{n} is how many {unit} {t} has",
    ),
    **wording.add_inverses(_COMPARISONS),
    "percent": (
        "{n} percent of the {unit} {s} has would match {t}",
        "take {n} percent of the {unit} of {s} and you get those of {t}",
        "{t} : {n} percent of {s}",
        "only {n} percent of what {s} holds in {unit} is with {t}",
    ),
    "gain": (
        "{t} and {s} had the same number of {unit} until {t} got {n}",
        "first {t} was equal with {s} , later {t} got {n} {unit}",
        "{t} : like {s} , then {n} more",
        "somebody gave {n} {unit} to {t} , who before had the same as {s}",
    ),
    "loss": (
        "{t} and {s} had the same number of {unit} until {t} lost {n}",
        "first {t} was equal with {s} , later {t} lost {n} {unit}",
        "{t} : like {s} , then {n} less",
        "somebody took {n} {unit} from {t} , who before had the same as {s}",
    ),
    "groups": (
        "{t} has {n} rows of {unit} , every row as long as all {unit} of {s}",
        "{n} bags of {t} each take as many {unit} as {s} has",
        "{t} : {n} bags , each like {s}",
        "{t} built {n} piles of {unit} , in every pile what {s} has",
    ),
    "share": (
        "{s} deals out the {unit} equally to {n} people and {t} is among them",
        "split in {n} equal parts , the {unit} of {s} give {t} one part",
        "{t} : one of {n} equal parts of {s}",
        "{n} children get equal parts of the {unit} of {s} and one is {t}",
    ),
    "sum": (
        "put the {unit} of {s} and {r} in one pile and {t} has as many",
        "{t} has just what {s} and {r} have in {unit} if you add them",
        "{t} : {s} plus {r}",
        "add the {unit} of {s} to those of {r} and you get those of {t}",
    ),
    "question": (
        "tell me how many {unit} {t} has.",
        "{t} ends up with how many {unit}?",
        "{t} : how many {unit}?",
        "can you work out the number of {unit} {t} has?",
        "give the number of {unit} that {t} has.",
    ),
}
NOTE = 2  # the template of each relation that reads like a note
