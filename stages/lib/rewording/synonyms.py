"""Word lists: counts, units, comparisons and negations, which a paraphrase must not change, and stopwords.

In a table `;` or a new line ends a class of synonyms; its first word names the class.
"""

import re

_COUNTS = """
    0 zero; 2 two twice double doubled; 3 three thrice triple tripled; 4 four quadruple; 5 five; 6 six; 7 seven;
    8 eight; 9 nine; 10 ten; 11 eleven; 12 twelve dozen dozens; 13 thirteen; 14 fourteen; 15 fifteen; 16 sixteen;
    17 seventeen; 18 eighteen; 19 nineteen; 20 twenty; 30 thirty; 40 forty; 50 fifty; 60 sixty; 70 seventy; 80 eighty;
    90 ninety; 100 hundred; 1000 thousand; 1000000 million; 1000000000 billion; 1/2 half halves; 1/4 quarter quarters
"""
_UNITS = """
    dollar dollars $ bucks; cent cents; euro euros €; pound pounds £ lb lbs; percent percentage %;
    hour hours hourly hr hrs; minute minutes min mins; seconds sec secs; day days daily; week weeks weekly;
    month months monthly; year years yearly annual annually; decade decades; century centuries; inch inches;
    foot feet ft; yard yards; mile miles mph; km kilometer kilometers kilometre kilometres; meter meters metre metres;
    cm centimeter centimeters; mm millimeter millimeters; kg kilogram kilograms; gram grams; mg milligram milligrams;
    ounce ounces oz; ton tons; liter liters litre litres; ml milliliter milliliters; gallon gallons; quart quarts;
    pint pints; cup cups; degree degrees °; joule joules; watt watts; volt volts; newton newtons; pascal pascals;
    hz hertz
"""
_COMPARISONS = """
more greater larger higher longer older taller faster quicker exceeds exceed additional extra another
less fewer smaller lower shorter younger slower
most greatest largest maximum highest biggest maximal
least smallest minimum lowest fewest minimal
average mean
"""
_LEMMAS = """
    have has had; make made; earn earned; spend spent; pay paid; buy buys bought purchase purchases purchased;
    sell sold; get gets got; eat ate; run ran; drive drove; take took; give gave; write wrote; sleep slept; lose lost;
    win won; catch caught; weigh weighed; begin began start starts started; keep kept; bring brought; swim swam;
    go goes went; find found; throw threw; teach taught; hold held; feed fed; know knew; leave left; build built;
    drink drank; sing sang; child children kid kids; person people persons individuals;
    car cars automobile automobiles; doctor doctors physician physicians
"""
_NEGATIONS = "not no never none neither nor nobody nothing except cannot without false incorrect untrue"
_STOPWORDS = """
a an the of to in on at by for with from as is are was were be been being do does did has have had will would can
could should may might must and or but if then than that this these those which who whom whose what when where why
how many much it its he she they them their his her him there here so such some any each every all both one i you
we our your my me us also just now very total find determine work out value number following question answer
given let suppose calculate compute identify amount
"""


def _parse_classes(table: str) -> dict[str, str]:
    """word -> the first word of its class."""
    classes = [line.split() for line in re.split("[;\n]", table) if line.strip()]
    return {word: words[0] for words in classes for word in words}


NUMBER_WORDS = {word: value for word, value in _parse_classes(_COUNTS).items() if word.isalpha()}
UNITS = _parse_classes(_UNITS)
COMPARISONS = _parse_classes(_COMPARISONS)
LEMMAS = _parse_classes(_LEMMAS)
OPPOSITES = {"more": "less", "less": "more", "most": "least", "least": "most"}
NEGATIONS = frozenset(_NEGATIONS.split())
STOPWORDS = frozenset(_STOPWORDS.split())
