"""Which question words lead to: how often the words of each question occur in the others decides how much they say."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from plaingrad.errors import SettingError, guess
from plaingrad.explaining.questions import Question, questions

LETTERS = 400  # of what is asked: more are not read
SPELLED = {
    "−": "-", "–": "-", "’": "'", "′": "'", "ᵀ": " ^T ", ".T": " ^T ", "∂": "d",
    "δ": " delta ", "Δ": " delta ", "β": " beta ", "σ": " sigmoid ",
}  # fmt: skip
POOL = re.compile(r"(max|mean|avg|average)(?=pool)")
TOKEN = re.compile(r"[-+]=|\^t\b|(?<=\w)'(?!\w)|[^\W_]+")  # += and -=, transposed, the prime of f', words and numbers
AMERICAN = re.compile(r"(?<=\w{3})iz(?=e|ing|ation)")
HYPHENED = re.compile(r"[^\W\d_]{2,}(?:-[^\W\d_]{2,})+")
ENDING = re.compile(r"(?<=\w{3})(?:s|e|es|ed|ers?|ing|ion|at|al|ly)$")
NOTHING_SAID = """a an and any are as at be by can did do does for from get has have how i in is it me my of on or so
that the then there this to was what when where which who why will with would you your"""
SAYS_NOTHING = frozenset(NOTHING_SAID.split())
SAME = {"max": "maximum", "maxima": "maximum", "conv": "convolution", "conv2d": "convolution", "'": "prime"}
SAME |= {"avg": "mean", "average": "mean", "meaning": "definition", "fc": "dense", "grad": "gradient", "lr": "rate"}
ASKED, WORDS, ANSWERED = 3.0, 2.0, 1.0  # how much a word says that stands in the question, beside it, in the answer
AS_IT_STANDS = 2.0  # times the points, where several words stand in the question just so
NEIGHBOURS = 1.5  # how much two words say that stand side by side in it as well
NEAR = 0.75  # of the points of the best: questions that fit about as well are listed
SURE = 0.25  # of what the words asked say: where the best question has less of it, it is only one of the closest
LEFT_OVER = 0.4  # of it: where the best question lacks as much, what it lacks may have a question of its own
CLOSEST = 3  # questions that are listed where none is sure


def plain(text: str) -> str:
    """A text in small letters, with one spelling for what has two, and without possessives."""
    for sign, one in SPELLED.items():
        text = text.replace(sign, one)
    text = re.sub(r"'s\b", "", unicodedata.normalize("NFKC", text).lower())
    return " ".join(POOL.sub(r"\1 ", AMERICAN.sub("is", text)).split())


def tokens(text: str) -> list[str]:
    """The words and signs of a text, in their order, in one form each: without endings, and none that says nothing."""
    return [stem(SAME.get(each, each)) for each in TOKEN.findall(plain(text)) if each not in SAYS_NOTHING]


def joined(text: str) -> list[str]:
    """What has a hyphen, as one word: a mini-batch is a minibatch as well."""
    return [stem(each.lower().replace("-", "")) for each in HYPHENED.findall(text)]


def stem(word: str) -> str:
    """A word without its endings: pooling, pools and pooled are pool."""
    shorter = ENDING.sub("", word)
    return word if shorter == word else stem(shorter)


@cache
def _index() -> tuple[Mapping[str, tuple[Mapping[str, float], frozenset[tuple[str, str]]]], Mapping[str, float]]:
    """Of each question its words with their points and its pairs of neighbours; and how much each word says."""
    every, used = {}, Counter[str]()
    for each in questions().values():
        points: dict[str, float] = {}
        pairs: set[tuple[str, str]] = set()
        for text, worth in ((each.answer, ANSWERED), (each.words, WORDS), (each.name, WORDS), (each.ask, ASKED)):
            own = tokens(text)
            for word in {*own, *joined(text)}:
                points[word] = points.get(word, 0) + worth
            pairs |= {*pairwise(own)} if worth > ANSWERED else set()
        every[each.name] = points, frozenset(pairs)
        used.update(points.keys())
    return every, {word: math.log(1 + len(every) / count) for word, count in used.items()}


def _known(words: Iterable[str], says: Mapping[str, float]) -> Iterable[str]:
    """The words as the questions have them: itself, or else those that it is the beginning of."""
    for word in words:
        if word in says:
            yield word
        elif len(word) > 3:
            yield from sorted(each for each in says if each.startswith(word))


@dataclass(frozen=True)
class Asked:
    """What is asked, as words: those that the questions have, and how much those say that no question has."""

    known: Mapping[str, float]
    pairs: Iterable[tuple[str, str]]
    unknown: float

    @classmethod
    def of(cls, asked: str) -> "Asked":
        """The first LETTERS of what is asked."""
        every, says = _index()
        read, one_word = tokens(asked[:LETTERS]), joined(asked[:LETTERS])
        known = {word: says[word] for word in dict.fromkeys(_known(read + one_word, says))}
        strange = {word for word in read if not [*_known([word], says)]}
        pairs = dict.fromkeys(pair for pair in pairwise(read) if {*pair} <= says.keys())
        return cls(known, pairs, len(strange) * math.log(1 + len(every)))

    @property
    def says(self) -> float:
        """How much all its words say: a word that no question has says most."""
        return sum(self.known.values()) + self.unknown

    def points(self) -> dict[str, float]:
        """How well each question fits."""
        every, says = _index()
        return {
            name: sum(own.get(word, 0) * worth for word, worth in self.known.items())
            + sum(
                NEIGHBOURS * (says[first] + says[second]) for first, second in self.pairs if (first, second) in beside
            )
            for name, (own, beside) in every.items()
        }

    def without(self, name: str) -> "Asked":
        """What is left of it by a question: the words that it lacks."""
        own = _index()[0][name][0]
        left = {word: worth for word, worth in self.known.items() if word not in own}
        return Asked(left, [pair for pair in self.pairs if {*pair} <= left.keys()], 0.0)


def found(asked: str) -> list[Question]:
    """The questions that a name or words lead to, the best first: those with about as many points as the best.

    Where the words are of two matters, the best question of what is left follows; where `is_sure` says that the best
    has few of the words, at least the CLOSEST are given. SettingError where there is none.
    """
    asked, known = asked[:LETTERS], questions()
    if (name := asked.strip().lower()) in known:
        return [known[name]]
    words = Asked.of(asked)
    points = words.points()
    if len(asked.split()) > 1:
        whole = plain(asked)
        points |= {name: AS_IT_STANDS * each for name, each in points.items() if whole in plain(known[name].ask)}
    order = sorted(points, key=lambda each: -points[each])
    best = points[order[0]]
    if not best:
        raise SettingError(
            f"there is no question about {asked[:60]!r}; {guess(asked, known)}`plaingrad questions` lists all"
        )
    fitting = [name for name in order if points[name] >= NEAR * best]
    if not is_sure(asked, known[order[0]]):
        fitting = [name for name in order if points[name]][: max(CLOSEST, len(fitting))]
    left = words.without(order[0])
    if left.says >= LEFT_OVER * words.says:
        others = left.points()
        fitting = [*dict.fromkeys([*fitting, max(others, key=lambda each: others[each])])]
    return [known[name] for name in fitting]


def is_sure(asked: str, question: Question) -> bool:
    """Whether a question has enough of the words asked to be an answer, and not only one of the closest."""
    words = Asked.of(asked)
    return question.name == asked.strip().lower() or words.says - words.unknown - words.without(question.name).says >= (
        SURE * words.says
    )
