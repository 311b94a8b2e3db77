"""JSON answers as programs really print them: in any encoding, cut short, among log lines, or something else."""

import json
import re
from typing import Any

from plaingrad.checking.answers.nested import BYTES_LIMIT, NEEDED, Named, Pairs, one_line, shown

ATTEMPTS = 200  # objects that begin and cannot be read, among the noise, until the search is given up
MOST_OBJECTS = 100_000  # among the noise

# Integers become floats at once: Python refuses to make an int of very many digits.
DECODER = json.JSONDecoder(object_pairs_hook=Pairs, parse_int=float)
OBJECT = re.compile(r'\{\s*"')
WITHIN_ANOTHER = re.compile(r"\s*[,}\]]")
CUT_NUMBER_OR_WORD = re.compile(r"-?|\.|[eE][+-]?|n|nu|nul|t|tr|tru|f|fa|fal|fals|N|Na|-?I|-?In|-?Inf|-?Infi[nity]*")
NOT_FINITE = re.compile(r"(?<=[\[,:\s])([+-]?)(nan|infinity|inf)(\([\w ]{0,20}\))?(?=\s*[,\]}])", re.IGNORECASE)

PRINTED = "JavaScript's print; use json.dumps or JSON.stringify"

# What stands where JSON ends: the character before that place, and those from it on.
WRONG = (
    (re.compile(r",[\]}]|.?,\s*[\]}]"), "there is a comma too many before the closing bracket"),
    (re.compile(r".[}\])]"), "the brackets do not match"),
    (re.compile(r"\[+[A-Z]\w*@"), "this is Java's name for an array: Arrays.deepToString gives its numbers"),
    (
        re.compile(r".?('|Array\]|object \w|array\(|tensor\(|np\.|None\b|True\b|False\b|<)"),
        f"this is Python's or {PRINTED}",
    ),
    (re.compile(r".?\w*@"), "this is not a number"),
    (re.compile(r".?(\.|\.\.\.|…)"), "a number needs a digit before its point, and nothing can be left out"),
    (re.compile(r"[\d\]}\"]\s*[-\d\[{\"]"), "a comma or a colon is missing before it"),
)
LOOKS = (
    (re.compile(r"\A\s*<"), "it looks like HTML or XML"),
    (re.compile(r"Traceback \(most recent call last\)"), "it looks like the error of a Python program"),
    (re.compile(r"^Exception in thread|^\s+at [\w.$<>/]+ ?\(", re.MULTILINE), "it looks like the error of a program"),
    (re.compile(r"\A\s*\{\s*'|\b(array|tensor|float32|float64)\("), f"it looks like Python's or {PRINTED}"),
    (re.compile(r"\A\s*\{\s*\w+\s*:"), "its names are not in double quotes"),
    (re.compile(r"\A.{0,100}?[\0-\b\x0e-\x1a\x7f]", re.DOTALL), "it looks like a binary file"),
)


class Unnumbered(str):
    """A text whose lines are not counted, as each error of Python's JSON does from its beginning."""

    def count(self, *_: Any) -> int:
        return 0

    def rfind(self, *_: Any) -> int:
        return -1


def read_json(text: str | bytes, named: Named) -> None:
    """Gather the quantities of one JSON object; AnswerError where there is none."""
    text = decoded(text, named)
    named.room(text.count(","))
    try:
        named.add_all(_top(text, named))
    except RecursionError:
        raise named.too_deep() from None
    if not named.arrays and not named.unread:
        raise named.refused(f"the object names no quantity; {NEEDED}")


def decoded(text: str | bytes, named: Named) -> str:
    """The text of bytes in UTF-8, UTF-16 or UTF-32, with a byte order mark or without."""
    if len(text) > BYTES_LIMIT:
        raise named.refused(f"is larger than {BYTES_LIMIT // 2**20} MiB; answer fewer quantities")
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    encoding = json.detect_encoding(text)
    try:
        return text.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        wrong = text[error.start : error.start + 4].hex(" ")
        raise named.refused(
            f"its bytes {wrong} from place {error.start:,} on are not {encoding.removesuffix('-sig').upper()}; "
            "write the answer as UTF-8 text"
        ) from None


def _top(text: str, named: Named) -> Pairs:
    """The answer's object: the whole text, or what stands among other lines."""
    try:
        value = DECODER.decode(text)
    except json.JSONDecodeError as error:
        plain = NOT_FINITE.sub(_not_finite, text)
        if plain != text:
            named.note("nan and inf are not JSON; they were read as NaN and Infinity")
            return _top(plain, named)
        whole = error.msg == "Extra data" and not WITHIN_ANOTHER.match(text, error.pos)
        if OBJECT.match(text.lstrip()) and not whole:
            raise _broken(text, 0, error, named) from None
        return _among_noise(text, named)
    if isinstance(value, Pairs):
        return value
    kinds = {list: "a list without names", str: "a text", bool: "true or false", type(None): "null"}
    raise named.refused(f"is {kinds.get(type(value), 'a lone number')}; {NEEDED}")


def _not_finite(match: re.Match[str]) -> str:
    """The spellings of C, C++ and Rust as JSON readers know them."""
    if match[2].lower() == "nan":
        return "NaN"
    return "-Infinity" if match[1] == "-" else "Infinity"


def _among_noise(text: str, named: Named) -> Pairs:
    """The last object among other text; if one begins after it that cannot be read, that was meant to be the answer."""
    last: Pairs | None = None
    broken: tuple[int, json.JSONDecodeError] | None = None
    objects = failed = place = 0
    unnumbered = Unnumbered(text)
    while failed < ATTEMPTS and (begin := OBJECT.search(text, place)):
        try:
            value, place = DECODER.raw_decode(unnumbered, begin.start())
        except json.JSONDecodeError as error:
            # What the failed one held is no answer: the search goes on behind it.
            broken, failed, place = (begin.start(), error), failed + 1, max(error.pos, begin.end())
            continue
        if objects == MOST_OBJECTS:
            raise named.refused(f"holds more than {MOST_OBJECTS:,} JSON objects; print the answer alone")
        if not WITHIN_ANOTHER.match(text, place):
            last, broken, objects = value, None, objects + 1
    if broken:
        raise _broken(text, *broken, named)
    if last is None:
        raise _something_else(text, named)
    which = "the JSON object" if objects == 1 else f"the last of {objects:,} JSON objects"
    named.note(f"{which} was read; the other text around it was ignored; it begins with {_beginning(text)!r}")
    return last


def _broken(text: str, start: int, error: json.JSONDecodeError, named: Named) -> Exception:
    """The error for an object that begins well: cut short, or wrong somewhere."""
    place, error = error.pos, json.JSONDecodeError(error.msg, text, error.pos)
    near = _near(text, start, place)
    rest = text[place : place + 20].rstrip()
    at_the_end = len(text.rstrip()) <= place + 20
    if error.msg.startswith("Unterminated string") or (at_the_end and CUT_NUMBER_OR_WORD.fullmatch(rest)):
        return named.refused(
            f"the JSON ends in the middle{near}, after {len(text):,} characters, on line {error.lineno:,}; "
            "did the program finish and flush its output?"
        )
    around = text[max(start, place - 100) : place].rstrip()[-1:] + rest
    place_in_words = f"line {error.lineno:,}, column {error.colno:,}{near}"
    why = next((words for pattern, words in WRONG if pattern.match(around)), f"{error.msg[:1].lower()}{error.msg[1:]}")
    return named.refused(f"is not JSON at {place_in_words}, where {one_line(rest, 20)!r} stands; {why}")


def _near(text: str, start: int, place: int) -> str:
    """The last name before a place; an answer has no other texts."""
    close = text.rfind('"', start, place)
    begin = text.rfind('"', start, close) if close > start else -1
    return f", near {shown(text[begin + 1 : close])}" if begin >= start else ""


def _something_else(text: str, named: Named) -> Exception:
    """The error for a text without any object: what it seems to be, and how it begins."""
    if not text.strip():
        return named.refused(f"is empty; {NEEDED}")
    head = text[:100_000]
    looks = next((f": {words}" for pattern, words in LOOKS if pattern.search(head)), "")
    return named.refused(f"holds no JSON object{looks}; it begins with {_beginning(text)!r}; {NEEDED}")


def _beginning(text: str) -> str:
    lines = [line.strip() for line in text[:2000].splitlines() if line.strip()]
    return one_line(" | ".join(lines[:3]), 200)
