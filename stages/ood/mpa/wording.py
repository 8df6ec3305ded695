"""The grammar of the rules agent as tables: synonyms, contractions, verbs, frames, contexts.

Every entry holds in every sentence the rewrites let it into; a pair that is only mostly safe (left / remaining, since /
because) is not here. The judge reads the same tables the other way: both words of a pair have one normal form.
"""

TWO_WAY = (
    ("bought", "purchased"),
    ("every day", "each day"), ("every week", "each week"), ("every month", "each month"), ("every year", "each year"),
    ("every night", "each night"), ("in total", "altogether"), ("relatively prime", "coprime"),
    ("express your answer", "give your answer"), ("usually", "typically"), ("approximately", "roughly"),
    ("primarily", "mainly"), ("begins", "starts"), ("began", "started"), ("therefore", "hence"),
    ("simultaneously", "at the same time"), ("entirely", "completely"), ("leads to", "results in"),
    ("most accurately describes", "is the most accurate description of"), ("with respect to", "with regard to"),
    ("best describes", "is the best description of"), ("best explains", "is the best explanation of"),
    ("best illustrates", "is the best illustration of"), ("best represents", "is the best representation of"),
    ("best defines", "is the best definition of"), ("best characterizes", "is the best characterization of"),
    ("is true about", "is true of"), ("are true about", "are true of"), ("is true regarding", "is true concerning"),
    ("most commonly", "most often"), ("nearly", "almost"),
)  # fmt: skip
ONE_WAY = (  # the first may become the second, not the reverse
    ("of the following", "of these"), ("children", "kids"), ("buy", "purchase"), ("buys", "purchases"),
    ("buying", "purchasing"), ("frequently", "often"), ("prior to", "before"),
    ("in order to", "so as to"), ("due to", "owing to"), ("because of", "on account of"), ("utilize", "make use of"),
    ("utilizes", "makes use of"), ("assume that", "suppose that"),
    ("begin", "start"), ("is referred to as", "is called"), ("is known as", "is called"),
    ("are referred to as", "are called"), ("are known as", "are called"), ("is an example of", "is an instance of"),
    ("is characterized by", "is marked by"), ("in addition to", "besides"), ("consists of", "is made up of"),
    ("the united states", "the U.S."), ("attempts to", "tries to"), ("in the event that", "in case"),
    ("is concerned with", "deals with"), ("nonnegative", "non-negative"), ("occurs", "takes place"),
    ("as a result of", "as a consequence of"),
    ("physician", "doctor"), ("automobile", "car"), ("subsequently", "later"),
    ("whether or not", "whether"), ("demonstrates", "shows"), ("obtains", "gets"), ("initially", "at first"),
    ("correctly describes", "gives a correct description of"),
    ("individuals", "persons"), ("presently", "currently"), ("assists", "helps"),
)  # fmt: skip

OF_OPTIONS = (  # both ways, inside options only
    ("an increase in", "a rise in"), ("a decrease in", "a reduction in"), ("is caused by", "results from"),
    ("are caused by", "result from"), ("is based on", "rests on"), ("are based on", "rest on"),
    ("depends on", "hinges on"), ("depend on", "hinge on"), ("a large number of", "a great number of"),
    ("regarding", "concerning"), ("rarely", "seldom"), ("quickly", "rapidly"), ("prohibited", "forbidden"),
    ("permitted", "allowed"), ("trying to", "attempting to"), ("the entire", "the whole"), ("an entire", "a whole"),
    ("solely", "exclusively"), ("is equal to", "equals"), ("toward", "towards"), ("among", "amongst"),
    ("as long as", "so long as"), ("regardless of", "irrespective of"), ("by means of", "with the help of"),
    ("throughout the", "all through the"), ("even though", "although"), ("is required to", "has to"),
    ("are required to", "have to"), ("is likely to", "will probably"), ("in the same way", "in the same manner"),
    ("is similar to", "resembles"), ("are similar to", "resemble"),
    ("in relation to", "relative to"), ("is necessary", "is needed"), ("are necessary", "are needed"),
    ("seeks to", "aims to"),
)  # fmt: skip

CONTRACTIONS = (
    ("is not", "isn't"), ("are not", "aren't"), ("was not", "wasn't"), ("were not", "weren't"),
    ("does not", "doesn't"), ("do not", "don't"), ("did not", "didn't"), ("has not", "hasn't"), ("have not", "haven't"),
    ("will not", "won't"), ("would not", "wouldn't"), ("could not", "couldn't"), ("should not", "shouldn't"),
    ("cannot", "can't"),
)  # fmt: skip

# base, third person, past. For `does she have` -> `she has`.
_VERBS = """
have has had, need needs needed, make makes made, earn earns earned, spend spends spent, pay pays paid,
buy buys bought, sell sells sold, get gets got, eat eats ate, use uses used, save saves saved, read reads read,
run runs ran, walk walks walked, drive drives drove, travel travels traveled, take takes took, give gives gave,
receive receives received, collect collects collected, work works worked, cost costs cost, owe owes owed,
drink drinks drank, write writes wrote, bake bakes baked, sleep sleeps slept, plant plants planted,
lose loses lost, win wins won, score scores scored, catch catches caught, pick picks picked, own owns owned,
weigh weighs weighed, want wants wanted, begin begins began, finish finishes finished, keep keeps kept,
cook cooks cooked, charge charges charged, produce produces produced, carry carries carried, see sees saw,
bring brings brought, swim swims swam, watch watches watched, go goes went, find finds found, cut cuts cut,
throw throws threw, climb climbs climbed, complete completes completed, contain contains contained,
invite invites invited, donate donates donated, sing sings sang, play plays played, put puts put,
raise raises raised, gain gains gained, burn burns burned, hold holds held, feed feeds fed, know knows knew,
leave leaves left, order orders ordered, deliver delivers delivered, fill fills filled, miss misses missed,
teach teaches taught, share shares shared, serve serves served, build builds built, paint paints painted
"""
VERBS = {base: (third, past) for base, third, past in (row.split() for row in _VERBS.replace("\n", " ").split(","))}
PRONOUNS = ("he", "she", "it", "they", "you", "we", "I", "there")
ASK = ("Find", "Determine", "Work out")
ASK_OPTIONS = ("Identify", "Determine")
STATES = (
    "refer|mean|involve|require|consist|depend|result|lead|represent|describe|contain|include|indicate|suggest|measure"
)
ASK_WHICH = ("Identify", "Determine", "Indicate", "State")

# A line before the question, by what the question looks like. None holds a number, a denial or a unit.
FRAMES = {
    "question": ("Answer the following question. ", "Consider the question below. ", "Please answer this question. ",
                 "Here is a question for you. "),
    "task": ("Solve the following problem. ", "Consider the problem below. ", "Please work on this problem. ",
             "Here is a problem for you. "),
    "stem": ("Choose how the statement below ends. ", "Complete the statement below. ",
             "Pick the best ending for this statement. ", "Please complete the following statement. "),
    "blank": ("Fill in what is missing in the text below. ", "Choose what belongs in the gap. "),
    "text": ("Read the text below and choose the option that fits. ", "Consider the text below. "),
    "statements": ("Judge the statements below. ", "Consider what is stated below. ", "Please assess these statements. "),
}  # fmt: skip

# Context: true of any item of the kind, silent about its content. {name}: a person of the story; {field}: the subject.
CONTEXTS = {
    "story": ("{name} described the situation below to a friend and asked for help.",
              "{name} kept careful notes, and the details below are taken from them.",
              "The following story about {name} was told in a classroom.",
              "{name} likes to think carefully about everyday matters such as these."),
    "field": ("The following came up while a student was preparing for an exam in {field}.",
              "A teacher of {field} likes to begin the lesson with questions such as this.",
              "In a study group on {field}, the members took turns asking each other questions.",
              "A magazine for readers interested in {field} printed the following puzzle."),
    "plain": ("The following was discussed by a group of students after class.",
              "A teacher wrote the following on the board and gave the class time to think about it.",
              "During a long train ride, a traveler came across the following in a magazine.",
              "The members of a club like to meet in the evening and discuss questions such as this."),
}  # fmt: skip
