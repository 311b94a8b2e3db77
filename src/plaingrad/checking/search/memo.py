"""Results that are kept for as long as what they were made of: an answer is looked at many times, in part otherwise."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

MOST = 16_000_000  # numbers: 128 MB


class Memo:
    """Results by what they are and by the very objects they were made of."""

    def __init__(self) -> None:
        self.known: dict[tuple[Any, ...], tuple[Sequence[Any], Any]] = {}
        self.size = 0

    def of(self, what: Any, made_of: Sequence[Any], make: Callable[[], Any]) -> Any:
        """The result of `make`, or of another time it was made of the same; it is about as large as its arrays."""
        key = (what, *map(id, made_of))
        if key not in self.known:
            result = make()
            arrays = [result] if isinstance(result, np.ndarray) else vars(result).values()
            size = sum(each.size for each in arrays if isinstance(each, np.ndarray))
            if self.size + size > MOST:
                self.known, self.size = {}, 0
            self.size += size
            self.known[key] = made_of, result  # what it was made of stays: no other object has its id
        return self.known[key][1]
