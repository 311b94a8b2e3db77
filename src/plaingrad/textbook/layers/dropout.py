"""Dropout: numbers left out at random while a network is trained, so that none is relied upon alone."""

from plaingrad.textbook.layer import Layer
from plaingrad.textbook.text import places


def dropout_forward(x, mask, y, rate):
    for place in places(y):
        y[place] = x[place] * mask[place] / (1 - rate)


def dropout_backward(dy, mask, dx, rate):
    for place in places(dx):
        dx[place] = dy[place] * mask[place] / (1 - rate)


def dropout_infer(x, y):
    for place in places(y):
        y[place] = x[place]


class Dropout(Layer):
    """In training each number becomes 0 with probability `rate`, and is divided by 1 - rate where it stays.

    So the expected value stays the same, and a trained network passes all on as it is (Srivastava et al., 2014). The
    mask of zeros and ones follows from seed, step, image and place: it is the same for any number of threads.
    """

    rate: float = 0.5
    forward, backward, infer = dropout_forward, dropout_backward, dropout_infer

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(0 <= self.rate < 1, f"rate={self.rate!r}", "rate is at least 0 and less than 1")

    def dropped(self) -> float:
        return self.rate
