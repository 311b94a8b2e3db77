"""Losses whose images do not count alike, and by what programs divide the sum over a batch of them.

The case divides by what its images weigh, as PyTorch's cross_entropy does. Keras divides by their number, whatever they
weigh (class_weight, sample_weight), and a sum is divided by nothing. Weights differ from batch to batch, so that none
of these is one factor for all steps.
"""

from collections.abc import Iterator, Mapping

from plaingrad.checking.case import Case
from plaingrad.checking.search.passes import Estimate, Key, Way
from plaingrad.checking.search.uncertainty import Program
from plaingrad.compiler.loops import Array


def weight_of(case: Case, step: int) -> float:
    """What the sum over the images of a step, counted from 1, is divided by; 1 where none counts."""
    return float(case.loss.count(case.batches[step - 1].target)) or 1.0


def is_weighed(case: Case) -> bool:
    """Whether that is not the number of images in any step."""
    return any(weight_of(case, step) != case.images for step in range(1, len(case.batches) + 1))


def ways(case: Case) -> Iterator[tuple[str, str, Way]]:
    """The id, the title, and what such programs make of the loss and of its gradient."""
    if is_weighed(case):
        yield (
            "divided-by-the-images",
            "the loss is divided by the number of images, and not by what they weigh (Keras)",
            _by_images,
        )
        yield "summed-over-the-batch", "the loss is the sum over the images, which is not divided", _by_nothing


def _by_images(program: Program, key: Key, env: Mapping[Key, Estimate], made: Array) -> Array:
    return made * (weight_of(program.case, key[0]) / program.case.images)


def _by_nothing(program: Program, key: Key, env: Mapping[Key, Estimate], made: Array) -> Array:
    return made * weight_of(program.case, key[0])
