"""The words of `story.py`: phrases of contest statements and their equals, people, things, and contexts that say nothing.

A phrase is here only if it can take the place of the other in every sentence it occurs in: same part of speech, same
number, nothing counted, compared or denied. None of them is a term: those belong to the problem.
"""

from __future__ import annotations

import re

# phrase -> what may stand in its place
PHRASES: dict[str, tuple[str, ...]] = {
    "You are given": ("You receive",),
    "you are given": ("you receive",),
    "Your task is to": ("You have to", "Your job is to"),
    "your task is to": ("you have to", "your job is to"),
    "Your goal is to": ("Your task is to",),
    "You have to": ("You need to", "Your task is to"),
    "you have to": ("you need to",),
    "You need to": ("You have to",),
    "you need to": ("you have to",),
    "You should": ("You must",),
    "you should": ("you must",),
    "For example,": ("For instance,",),
    "for example,": ("for instance,",),
    "In other words,": ("Put differently,",),
    "in other words,": ("put differently,",),
    "Note that": ("Keep in mind that", "Mind that"),
    "note that": ("keep in mind that",),
    "Please note that": ("Please keep in mind that",),
    "Recall that": ("Remember that",),
    "Remember that": ("Recall that",),
    "Assume that": ("Suppose that",),
    "assume that": ("suppose that",),
    "Suppose that": ("Assume that",),
    "It is guaranteed that": ("We guarantee that",),
    "it is guaranteed that": ("we guarantee that",),
    "It is known that": ("We know that",),
    "It can be shown that": ("It can be proved that",),
    "It can be proved that": ("It can be shown that",),
    "It can be proven that": ("It can be shown that",),
    "in such a way that": ("in such a manner that",),
    "in a way that": ("in a manner that",),
    "wants to": ("would like to", "wishes to"),
    "want to": ("would like to",),
    "decided to": ("resolved to", "chose to"),
    "decides to": ("resolves to", "chooses to"),
    "has decided to": ("has resolved to",),
    "have decided to": ("have resolved to",),
    "tries to": ("attempts to",),
    "tried to": ("attempted to",),
    "in order to": ("so as to",),
    "In order to": ("So as to",),
    "However,": ("Nevertheless,",),
    "Therefore,": ("Hence,",),
    "Thus,": ("Hence,",),
    "Of course,": ("Naturally,",),
    "of course,": ("naturally,",),
    "Unfortunately,": ("Sadly,",),
    "unfortunately,": ("sadly,",),
    "Fortunately,": ("Luckily,",),
    "Initially,": ("At the beginning,", "At the start,"),
    "Besides,": ("In addition,",),
    "Help him": ("Please help him",),
    "Help her": ("Please help her",),
    "Help them": ("Please help them",),
    "Can you help": ("Could you help",),
    "help him": ("assist him",),
    "Write a program": ("Create a program",),
    "write a program": ("create a program",),
    "Write the code": ("Create the code",),
    "create a program": ("write a program",),
    "Find the": ("Determine the",),
    "find the": ("determine the",),
    "Find out": ("Determine",),
    "find out": ("determine",),
    "Determine the": ("Find the",),
    "determine the": ("find the",),
    "Determine whether": ("Decide whether",),
    "determine whether": ("decide whether",),
    "Determine if": ("Decide whether",),
    "determine if": ("decide whether",),
    "Calculate": ("Compute",),
    "calculate": ("compute",),
    "Compute": ("Calculate",),
    "compute": ("calculate",),
    "consists of": ("is composed of",),
    "consist of": ("are composed of",),
    "consisting of": ("composed of",),
    "are located at": ("lie at",),
    "is located at": ("lies at",),
    "are located in": ("lie in",),
    "is located in": ("lies in",),
    "as soon as possible": ("as quickly as possible",),
    "as quickly as possible": ("as fast as possible",),
    "knows that": ("is aware that",),
    "noticed that": ("observed that",),
    "noticed": ("observed",),
    "buys": ("purchases",),
    "buy": ("purchase",),
    "bought": ("purchased",),
    "begins": ("starts",),
    "usually": ("typically",),
    "huge": ("enormous",),
    "extremely": ("exceedingly",),
    "incredibly": ("unbelievably",),
    "Because of": ("Owing to",),
    "because of": ("owing to",),
    "a gift": ("a present",),
    "report that": ("state that",),
    "Write a function": ("Create a function", "Implement a function"),
    "write a function": ("implement a function",),
    "Create a function": ("Write a function",),
    "Implement a function": ("Write a function",),
    "Implement the function": ("Write the function",),
    "implement a function": ("write a function",),
    "Create a class": ("Write a class",),
    "that takes": ("that accepts",),
    "which takes": ("which accepts",),
    "and returns": ("and gives back",),
    "that returns": ("that gives back",),
    "which returns": ("which gives back",),
    "should return": ("must return",),
    "Check if": ("Test whether",),
    "Checks if": ("Tests whether",),
    "check if": ("test whether",),
    "checks if": ("tests whether",),
    "You can assume that": ("You may assume that",),
    "you can assume that": ("you may assume that",),
    "You may assume that": ("You can assume that",),
    "you may assume that": ("you can assume that",),
    "the given": ("the supplied", "the provided"),
    "You will be given": ("You will receive",),
    "you will be given": ("you will receive",),
    "you're given": ("you receive",),
    "your goal is to": ("your task is to",),
    "iterates over": ("goes through",),
}

# Contests' own people besides the first names of `names.py`.
KNOWN = frozenset(
    re.findall(
        r"\w+",
        """
    Vasya Petya Masha Valera Takahashi Aoki Snuke Iroha Taro Jiro Hanako Gildong Ujan Polycarp Polycarpus Monocarp
    Innocentius Gerald Gennady Genos Igor Teodor Sasha Heidi Gleb Nastya Nastia Denis Johnny Iahub Misha Mishka
    Barney Efim Rick Morty Lena Slava Dima Vova Kolya Anton Limak Mahmoud Ehab Arkady Alex Kuro Natasha Nauuo Neko
    Tokitsukaze Cirno Omkar Ashish Vivek Karl Ringo Phoenix Yang Pasha Fedya Mashmokh Bimokh Katie Lynyrd Skynyrd
    Tayuya Shikamaru Tuftuf Tattah Segtree Ciel Lee Bob Alice Charlie Anna Maria Farida Oleg Andrey Sereja Iahubina
    Lesha Lyosha Vitya Vanya Ostap Yura Zhenya Grisha Senya Tolya Nikita Stepan Timofey Roma Artem Kirill Maxim
    Nathan Wada Marin Kana Kotori Chtholly Nephren Willem Serval Luba Vlad Boris Alyona Dasha Ksenia Olya Sonya Mila
    """,
    )
)
NOT_PEOPLE = frozenset(
    re.findall(
        r"\w+",
        """
    Santa Unity Empire Government Robot Bot Rebel Codeforces Berland Polygon Everyone Everybody Nobody Somebody Someone
    Anyone She They You Each This That These Those One Who Which What Nature God Children Kids People Students
    """,
    )
)
# Words that a typing error might make of another, besides those of `noise.py`.
REAL = frozenset(
    re.findall(
        r"\w+",
        """
    sued used meet met choose chose coma comma goof good been bean seen sene tow two who how own won now saw was are
    ear era art rat tar sting spring trail brake bore board boarder angles united deign sign sing singe chose diver
    untied causes clauses unites casts caste cost costs coast filed field files flies lived devil evil vile live
    """,
    )
)
ANIMATE = re.compile(
    r" (?:wants|likes|loves|hates|decided|decides|has decided|thinks|knows|noticed|plays|lives|bought|wonders|wondered"
    r"|asked|asks|enjoys|dreams|remembers|studies|invented|came up|went|chose|wrote|got bored|is going|is playing|needs"
    r"|learned|learnt|found|discovered|believes|hopes|promised|tries|prefers)\b"
)
# New names fit he and she: pronouns stay.
NEW_PEOPLE = ("Robin", "Jules", "Noor", "Quinn", "Rowan", "Toni", "Ariel", "Jamie", "Kim", "Morgan", "Remy", "Skyler",
              "Taylor", "Casey", "Emery", "Finley", "Marlo", "Jessie", "Riley", "Dana")  # fmt: skip
# (singular, plural) of things that another may stand for; equal in article, and no term of a contest.
THINGS = (
    (("apple", "apples"), ("orange", "oranges")),
    (("candy", "candies"), ("cookie", "cookies")),
    (("cake", "cakes"), ("pie", "pies")),
    (("tram", "trams"), ("train", "trains")),
    (("bike", "bikes"), ("scooter", "scooters")),
    (("ship", "ships"), ("boat", "boats")),
    (("cow", "cows"), ("goat", "goats")),
    (("cat", "cats"), ("fox", "foxes")),
    (("planet", "planets"), ("moon", "moons")),
    (("village", "villages"), ("hamlet", "hamlets")),
    (("phone", "phones"), ("tablet", "tablets")),
    (("gemstone", "gemstones"), ("pearl", "pearls")),
    (("ball", "balls"), ("marble", "marbles")),
    (("toy", "toys"), ("doll", "dolls")),
    (("stone", "stones"), ("pebble", "pebbles")),
    (("flute", "flutes"), ("trumpet", "trumpets")),
    (("supermarket", "supermarkets"), ("department store", "department stores")),
    (("shop", "shops"), ("market stall", "market stalls")),
    (("basket", "baskets"), ("cart", "carts")),
    (("banknote", "banknotes"), ("voucher", "vouchers")),
    (("horseshoe", "horseshoes"), ("bracelet", "bracelets")),
    (("dentist", "dentists"), ("doctor", "doctors")),
    (("castle", "castles"), ("palace", "palaces")),
    (("monster", "monsters"), ("beast", "beasts")),
    (("teacher", "teachers"), ("tutor", "tutors")),
    (("hotel", "hotels"), ("guesthouse", "guesthouses")),
    (("forest", "forests"), ("meadow", "meadows")),
    (("river", "rivers"), ("stream", "streams")),
    (("pillar", "pillars"), ("pole", "poles")),
    (("tank", "tanks"), ("truck", "trucks")),
    (("sandwich", "sandwiches"), ("burger", "burgers")),
    (("dog", "dogs"), ("wolf", "wolves")),
)
CONTEST_CONTEXTS = (
    "The authors of this problem met at a training camp in the mountains and wrote it on the train back home.",
    "This problem was prepared for a friendly contest of neighboring schools.",
    "A magazine for young programmers printed this problem beside its crossword.",
    "A lecturer likes to open practice sessions with problems such as this.",
    "The jury discussed this problem for a whole evening over tea.",
    "Students at the local university worked on this problem during a rainy weekend.",
    "This problem was found in the notes of a retired coach.",
    "A programming club keeps this problem on the wall of its meeting room.",
)
FUNCTION_CONTEXTS = (
    "This function belongs to a small library that is used in programming classes.",
    "A colleague needs this function for a report and asked for a careful implementation.",
    "This function was discussed during a code review.",
    "A study group collects functions such as this in a shared notebook.",
    "This function is part of a toolbox that a teacher maintains.",
    "A newcomer to the team was asked to write this function as an exercise.",
)
