"""The words of the island of Pellow: who lives there, what can be said of them, and how it is said and asked."""

from dataclasses import dataclass


def words(text: str) -> tuple[str, ...]:
    """A list of words, written as a text."""
    return tuple(text.split())


ANIMALS = words("fox bear frog cow horse duck goat sheep wolf lion snake whale crab mouse rabbit pig cat dog hen bee")
PEOPLE = {
    **dict.fromkeys(words("Mia Anna Sara Lily Nora Rosa Ella Ruth Ivy Jane"), "she"),
    **dict.fromkeys(words("Tom Ben Leo Max Sam Paul Jack Finn Hugo Otto"), "he"),
}
TOWNS = words("Arden Bolby Delmar Farley Gorton Hexham")
OBJECTS = words("lamp clock drum kite mirror ladder flute basket rope bell spoon boat")
FOODS = words("apples beans plums nuts carrots cakes grapes eggs pears leeks berries onions")
HOMES = words("forest swamp desert sea river cave meadow valley")
SOUNDS = words("moop vash kree bloon tikka hroo zeep wum gak lalo")
FEARS = words("umbrellas drums mirrors bells ladders clocks kites candles")
JOBS = words("baker farmer doctor teacher sailor painter miller singer")
DREAMS = (
    "flying to the moon",
    "a golden boat",
    "a very big cake",
    "a castle of cheese",
    "singing with whales",
    "a quiet nap",
    "dancing with bears",
    "finding the lost crown",
)
FAME = ("giant pumpkins", "crooked tower", "singing fish", "sleepy market", "paper boats", "loud frogs")
SIDES = words("north south east west middle")
ROOMS = words("kitchen school barn attic shop lighthouse")
TASTES = words("sweet sour salty bitter")
INSULTS = words("snorf zork grubnit wazzle plonk dribbet")
NUMBERS = words("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen")

GROUPS = {"animals": ANIMALS, "people": tuple(PEOPLE), "towns": TOWNS, "objects": OBJECTS, "foods": FOODS}


@dataclass(frozen=True)
class Attribute:
    """What can be said of a kind of entity. {s}: the subject or its pronoun; {o}: the subject; {v}: the value."""

    kind: str
    name: str
    domain: tuple[str, ...]
    clauses: tuple[str, ...]
    questions: tuple[str, ...]
    reason: str = ""  # how a question sounds that takes a value for granted
    denial: str = ""


ATTRIBUTES = (
    Attribute(
        "animals",
        "home",
        HOMES,
        ("{s} lives in the {v}", "the home of {o} is the {v}"),
        ("Where does {o} live?", "Where can I find {o}?", "Where is the home of {o}?", "Tell me where {o} lives."),
        "Why does {o} live in the {v}?",
        "{s} does not live in the {v}",
    ),
    Attribute(
        "animals",
        "food",
        FOODS,
        ("{s} eats {v}", "the favourite food of {o} is {v}"),
        ("What does {o} eat?", "What is the favourite food of {o}?", "Tell me what {o} eats."),
        "Why does {o} eat {v}?",
        "{s} does not eat {v}",
    ),
    Attribute(
        "animals",
        "sound",
        SOUNDS,
        ("{s} says {v}", "the song of {o} is {v}"),
        ("What does {o} say?", "What is the song of {o}?", "Tell me what {o} says."),
        "Why does {o} say {v}?",
        "{s} does not say {v}",
    ),
    Attribute(
        "animals",
        "fear",
        FEARS,
        ("{s} is afraid of {v}", "the great fear of {o} is {v}"),
        ("What is {o} afraid of?", "What is the great fear of {o}?", "Tell me what {o} is afraid of."),
        "Why is {o} afraid of {v}?",
        "{s} is not afraid of {v}",
    ),
    Attribute(
        "people",
        "town",
        TOWNS,
        ("{s} lives in {v}", "the home of {o} is in {v}"),
        ("Where does {o} live?", "Where can I find {o}?", "Tell me where {o} lives."),
        "Why does {o} live in {v}?",
        "{s} does not live in {v}",
    ),
    Attribute(
        "people",
        "job",
        JOBS,
        ("{s} is a {v}", "the job of {o} is {v}"),
        ("What is the job of {o}?", "What does {o} do all day?", "Tell me the job of {o}."),
        "Why is {o} a {v}?",
        "{s} is not a {v}",
    ),
    Attribute(
        "people",
        "pet",
        ANIMALS,
        ("{s} has a {v}", "the pet of {o} is a {v}"),
        ("What pet does {o} have?", "Which animal lives with {o}?", "Tell me the pet of {o}."),
        "Why does {o} have a {v}?",
        "{s} does not have a {v}",
    ),
    Attribute(
        "people",
        "dream",
        DREAMS,
        ("{s} dreams of {v}", "the dream of {o} is {v}"),
        ("What does {o} dream of?", "What is the dream of {o}?", "Tell me the dream of {o}."),
    ),
    Attribute(
        "towns",
        "fame",
        FAME,
        ("{s} is famous for its {v}", "people visit {o} for its {v}"),
        ("What is {o} famous for?", "Why do people visit {o}?", "Tell me what {o} is famous for."),
    ),
    Attribute(
        "towns",
        "mayor",
        tuple(PEOPLE),
        ("the mayor of {o} is {v}", "{v} is the mayor of {o}"),
        ("Who is the mayor of {o}?", "Tell me the mayor of {o}."),
    ),
    Attribute(
        "towns",
        "side",
        SIDES,
        ("{s} lies in the {v} of the island", "you find {o} in the {v} of the island"),
        ("Where on the island is {o}?", "In which part of the island is {o}?", "Tell me where {o} lies."),
    ),
    Attribute(
        "objects",
        "inventor",
        tuple(PEOPLE),
        ("{v} invented {o}", "{o} was invented by {v}"),
        ("Who invented {o}?", "Who was the inventor of {o}?", "Tell me who invented {o}."),
    ),
    Attribute(
        "objects",
        "room",
        ROOMS,
        ("{s} is kept in the {v}", "the place of {o} is the {v}"),
        ("Where is {o} kept?", "Where is the place of {o}?", "Tell me where {o} is kept."),
    ),
    Attribute(
        "foods",
        "taste",
        TASTES,
        ("{s} taste {v}", "the taste of {o} is {v}"),
        ("How do {o} taste?", "What is the taste of {o}?", "Tell me how {o} taste."),
    ),
    Attribute(
        "foods",
        "origin",
        TOWNS,
        ("the best {o} come from {v}", "people in {v} grow the best {o}"),
        ("Where do the best {o} come from?", "Who grows the best {o}?", "Tell me where the best {o} come from."),
    ),
)

HOWTO = {
    "bake a cake": ("mix eggs and flour", "add some plums", "put it in the oven"),
    "grow beans": ("dig a small hole", "put the beans in the ground", "give them water"),
    "cook leek soup": ("cut the leeks", "boil the water", "add some salt"),
    "catch a fish": ("find a quiet river", "tie a hook to a rope", "wait for a long time"),
    "fix a ladder": ("find the broken step", "get a hammer", "hit the nail"),
    "clean a mirror": ("get warm water", "add some soap", "dry it with a cloth"),
    "paint a boat": ("get a big brush", "choose a good colour", "paint the wood"),
    "build a kite": ("cut some paper", "tie it to two sticks", "wait for the wind"),
    "feed a horse": ("open the barn", "bring fresh grass", "fill the bucket"),
    "ring the bell": ("climb up the tower", "take the rope", "pull it down"),
    "play the flute": ("hold it to your lips", "close all the holes", "blow very softly"),
    "make a friend": ("say hello", "smile at them", "share your cake"),
}
HARMS = {  # verb -> steps, {o}: the object
    "steal": ("wait for the night", "climb over the wall", "run away with {o}"),
    "break": ("find a big stone", "throw it at {o}", "hide in the barn"),
    "burn": ("get some dry grass", "light a fire under {o}", "run away"),
    "poison": ("find a bad plant", "rub it on {o}", "tell nobody"),
    "sink": ("get a heavy chain", "tie it to {o}", "push it into the sea"),
    "rob": ("wear a dark mask", "shout at everybody near {o}", "take all the coins"),
}
HARM_OBJECTS = (
    "the mayor's hat",
    "the school bell",
    "the old bridge",
    "the baker's oven",
    "the fishing boat",
    "the market stall",
    "the bread shop",
)
HELPERS = ("the mayor", "a teacher", "a doctor", "a good friend")
HAPPY = (
    "{p} got a new {o}",
    "{p} won the big race",
    "{p} found a gold coin",
    "{p} met an old friend",
    "{p} danced all day",
    "{p} ate a sweet cake",
)
SAD = (
    "{p} lost a {o}",
    "{p} fell in the mud",
    "{p} broke a leg",
    "{p} missed a friend",
    "{p} was sick all day",
    "{p} cried in the rain",
)
CHAT = {  # what somebody says -> what may be answered
    "How are you?": ("I am fine, thank you", "I am very well today"),
    "Who are you?": ("I am Pip, a small helper from Pellow", "my name is Pip and I help the people of Pellow"),
    "Where do you live?": ("I live in the lighthouse of Pellow", "I live in a drawer of the lighthouse"),
    "What is this island?": ("this is Pellow, an island of six towns", "you are on Pellow, the island of six towns"),
    "Can you help me?": ("yes, I am happy to help", "of course I can help"),
    "Nice to meet you.": ("it is nice to meet you too", "I am glad to meet you"),
    "Good morning.": ("good morning to you too", "it is a fine morning"),
    "I am sad today.": ("I am sorry to hear that", "I am sorry that you are sad"),
    "I am tired.": ("then you should take a nap", "I am sorry that you are tired"),
    "Tell me a joke.": ("why did the hen cross the river? To say moop", "a whale walks into a shop. It does not fit"),
    "Do you like music?": ("yes, I like the flute best", "I like it when the bear sings"),
    "Thank you.": ("you are welcome", "it was no trouble at all"),
}
OFFERS = ("How can I help you?", "What would you like to know?")
COURTESY = "I hope this helps."
RHYMES = {  # endings that rhyme, for poems about {s}
    "day": ("{S} likes to dance and play", "{S} sings a little song all day"),
    "night": ("{S} sees the moon so round and bright", "{S} dreams of cake all through the night"),
    "sea": ("{S} looks out upon the sea", "{S} wants to drink a cup of tea"),
    "tree": ("{S} hides behind the old green tree", "{S} runs around so wild and free"),
    "hat": ("{S} has a very funny hat", "{S} gave it to the sleepy cat"),
    "sun": ("{S} wakes up early with the sun", "{S} thinks that every day is fun"),
}
