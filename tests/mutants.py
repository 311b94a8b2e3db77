"""Inputs made wrong at random: values, JSON trees, bytes, arrays, names and words, each from a seeded generator.

Nothing here knows what it is made for: another seed gives other inputs.
"""

import json
import random
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

DEEP: Any = 1
for _ in range(60):
    DEEP = [DEEP]
NUMBERS: list[Any] = [
    *(None, True, False, -1, 0, 1, 2, 3, 7, 64, 0.5, -0.0, 1.5, -2.5, 1e-300, 1e300, 1e-3, 3.0),
    *(float("nan"), float("inf"), -float("inf")),
    *(10**6, 10**9, -(10**9), 10**18, -(10**18), 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64),
    *(10**25, -(10**25), 10**400),
]
TEXTS: list[Any] = [
    *("", " ", "x", "conv", "ReLU", "same", "-1", "1e9", "nan", "0", "input", "loss", "../..", "/dev/null", "~", "*"),
    *(
        "a\x1b[31mred",
        "a\nb",
        "\0",
        "\u202eabc",
        "\ud800",
        "é",
        "ﷺ",
        "😀",
        "x" * 3000,
        "[" * 500,
        "%s%n{0}",
        "a\\",
        '"',
    ),
]
TREES: list[Any] = [
    *([], {}, [3], [[3]], (2, 3), (2, 3, 4), [2, 3], [0, 0], [10**18, 1], [None], [{}], DEEP, {"kind": "Conv"}),
    *({"kind": {}}, {"kind": "ReLU"}, {"kind": "SGD"}, {"kind": "Flatten"}, {"kind": "He"}, {"": 1}, list(range(50))),
]
ODD = [*NUMBERS, *TEXTS, *TREES]


def odd(rng: random.Random) -> Any:
    """A value that few places can take."""
    return rng.choice(rng.choice([NUMBERS, NUMBERS, TEXTS, TREES]))


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every part of a tree of lists and dictionaries."""
    yield before
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*before, key))


def at(tree: Any, place: tuple[Any, ...]) -> Any:
    """The part of a tree at a place."""
    for key in place:
        tree = tree[key]
    return tree


def shape_of_tree(rng: random.Random, every: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    """A place, of any depth as likely as any other: leaves are many, and would be hit nearly always."""
    depth = rng.choice(sorted({len(place) for place in every}))
    return rng.choice([place for place in every if len(place) == depth])


def tree(rng: random.Random, value: Any) -> Any:
    """A tree with one to three parts of it changed, left out, doubled, renamed or exchanged."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        every = list(places(value))
        place = shape_of_tree(rng, every)
        if not place:
            if rng.random() < 0.1:
                return odd(rng)
            continue
        within, key = at(value, place[:-1]), place[-1]
        part, manner = within[key], rng.randrange(9)
        if manner == 0:
            del within[key]
        elif manner == 1 and isinstance(within, dict):
            within[rng.choice([str(key).upper(), f"{key}s", "", "kind", str(odd(rng))[:40]])] = within.pop(key)
        elif manner == 2 and isinstance(within, list):
            within.insert(rng.randrange(len(within) + 1), rng.choice([part, odd(rng)]))
        elif manner == 3:
            within[key] = json.loads(json.dumps(at(value, rng.choice(every))))
        elif manner == 4:
            within[key] = [part] if rng.random() < 0.5 else {"kind": part}
        elif manner == 5 and isinstance(part, int | float):
            within[key] = part * rng.choice([-1, 2, 10, 1000, 10**12, 0.5, 1 + 1e-7])
        elif manner == 6 and isinstance(part, str):
            within[key] = text(rng, part)
        else:
            within[key] = odd(rng)
    return value


def text(rng: random.Random, value: str) -> str:
    """A text with letters changed, left out, doubled or put in."""
    letters = list(value)
    for _ in range(rng.choice([1, 1, 2, 4])):
        place, manner = rng.randrange(len(letters) + 1), rng.randrange(5)
        if manner == 0 and letters:
            del letters[place % len(letters)]
        elif manner == 1:
            letters.insert(place, rng.choice([*"[]{}(),.:=-+*/^ \"'0123456789abnwxyde\n\t\0…Σ⌊", "\u202e", "\ud800"]))
        elif manner == 2 and letters:
            letters[place % len(letters)] = rng.choice("0123456789[].,-e ")
        elif manner == 3:
            letters[place:place] = str(odd(rng))[:60]
        else:
            letters = letters[:place] + letters[place // 2 :]
    return "".join(letters)


def content(rng: random.Random, value: bytes) -> bytes:
    """Bytes with some flipped, cut off, doubled, or whole numbers in them that say something else."""
    made = bytearray(value)
    for _ in range(rng.choice([1, 1, 2, 5])):
        near = min(len(made), rng.choice([8, 40, 400, 10**9]))  # what a header says stands at the beginning
        place, manner = rng.randrange(near + 1), rng.randrange(8)
        if manner <= 1 and made:
            made[place % len(made)] ^= 1 << rng.randrange(8)
        elif manner == 2:
            made = made[:place]
        elif manner == 3:
            made[place : place + 4] = struct.pack(rng.choice("<>") + "I", rng.choice([0, 1, 2**16, 2**31, 2**32 - 1]))
        elif manner == 4:
            made[place : place + 8] = struct.pack(rng.choice("<>") + "Q", rng.choice([0, 2**40, 2**63, 2**64 - 1]))
        elif manner == 5:
            made[place:place] = rng.randbytes(rng.choice([1, 4, 100]))
        elif manner == 6:
            made += made[:place]
        else:
            del made[place : place + rng.choice([1, 2, 16])]
    return bytes(made)


def digits_in(rng: random.Random, value: bytes) -> bytes:
    """Bytes in which one run of decimal digits, or a word, is another one."""
    import re

    found = list(re.finditer(rb"\d+|true|false|null|[A-Za-z_]+", value[:4000]))
    if not found:
        return content(rng, value)
    one = rng.choice(found)
    other = rng.choice([b"-1", b"0", b"99999999999", b"1" + b"0" * 25, b"1e999", b"NaN", b"null", b'"x"', b"[", b"F64"])
    return value[: one.start()] + other + value[one.end() :]


TYPES = ["u1", "i1", "u2", "i4", "i8", "u8", "f2", "f4", "f8", "g", "?", "c8", "c16", "O", "S3", "U2", "M8[s]", "m8[D]"]


def array(rng: random.Random, shape: tuple[int, ...], views: bool = True) -> Any:
    """Something like an array of this shape: of another type, shape, order or size, or with numbers that are none.

    Those of `views` repeat a few numbers without end, and cannot be written to a file.
    """
    shape, manner = list(shape), rng.randrange(12)
    if manner == 0:
        return odd(rng)
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        place = rng.randrange(len(shape) + 1)
        shape[place : place + rng.randrange(2)] = [rng.choice([0, 1, 2, 3, 5, 8, 33])] * rng.randrange(2)
    size = int(np.prod(shape))
    if size > 10**6:
        shape, size = [2, 3], 6
    numbers = np.random.default_rng(rng.randrange(2**32)).integers(0, 9, size).reshape(shape)
    try:
        made = numbers.astype(rng.choice([*TYPES, "f4", "f4", "f4", "u1", "f8", "i8"]))
    except (TypeError, ValueError):
        return numbers.astype(str)
    if manner == 1 and made.ndim:
        made = made[::-1]
    elif manner == 2:
        made = made.T
    elif manner == 3 and made.dtype.kind == "f" and made.size:
        made.flat[rng.randrange(made.size)] = rng.choice([np.nan, np.inf, -np.inf, np.finfo(made.dtype).max])
    elif manner == 4 and views and 0 < made.nbytes < 2000:
        made = np.broadcast_to(made, (rng.choice([1, 2, 10**9, 10**15]), *made.shape))
    elif manner == 5:
        made = made.astype(made.dtype.newbyteorder(">"))
    elif manner == 6:
        made = made.tolist()
    elif manner == 7:
        made = np.ma.masked_array(made, mask=False)
    elif manner == 8 and made.dtype.kind == "O" and made.size:
        made.flat[rng.randrange(made.size)] = odd(rng)
    elif manner == 9:
        made = made.view(np.recarray) if rng.random() < 0.5 else [made, odd(rng)]
    elif manner == 10 and made.dtype.kind in "iuf":
        made = made * made.dtype.type(rng.choice([1, 30, 100]))
    return made
