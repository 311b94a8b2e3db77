"""Every text keeps the dialect: short, one letter an axis, the field's names, and two words beside Python's own."""

import ast
import inspect
import pathlib

import pytest

import plaingrad as pg
from plaingrad.textbook.losses import Loss
from plaingrad.textbook.optimisers import SGD, Optimiser
from plaingrad.textbook.text import Text
from plaingrad.textbook.window import Window

MOST_LINES, MOST_ARGUMENTS = 13, 7
MOST_OF_NORMALISATION = 10  # arguments: it leaves its mean and spread, and takes a level that is trained
AXES = set("nkcijuvg") | {"row", "column", "place"}
ARRAYS = {
    "x",
    "y",
    "w",
    "b",
    "m",
    "v",
    "target",
    "share",
    "pixels",
    "winner",
    "velocity",
    "probability",
    "mask",
    "skip",
    "mean",
    "variance",
    "deviation",
    "normal",
    "mean_error",
    "mean_product",
    "running_mean",
    "running_variance",
    "log_probability",
    "weighted_target",
}
SETTINGS = {
    "epsilon",
    "group_size",
    "scale",
    "cubic",
    "stride_0",
    "stride_1",
    "window",
    "slope",
    "class_weight",
    "label_smoothing",
    "rate",
    "momentum",
    "decay",
    "adam",
    "t",
}
WORDS = {"places", "range", "sum", "max", "exp", "log", "sqrt", "tanh", "normal_cdf", "normal_pdf"}
STEPS = {"is_larger", "root", "NOBODY"}  # a condition or a function of one number, written beside its texts
NODES = (
    *(ast.For, ast.Assign, ast.AugAssign, ast.If, ast.IfExp, ast.Compare, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Call),
    *(ast.Subscript, ast.Slice, ast.Attribute, ast.Name, ast.Constant, ast.Tuple, ast.GeneratorExp, ast.comprehension),
    *(ast.operator, ast.cmpop, ast.boolop, ast.unaryop, ast.expr_context),
)


def every_text():
    """Each text of each layer, loss and optimiser, once."""
    owners = [*pg.Layer.kinds().values(), *Loss.kinds().values()]
    owners = [each for each in owners if each.__module__.startswith("plaingrad.")]
    found = [getattr(each, way) for each in owners for way in ("forward", "backward")]
    found += [each.update for each in Optimiser.kinds().values() if isinstance(each.update, Text)]
    found += [SGD().update, SGD(nesterov=True).update]
    return list(dict.fromkeys(found))


def tree(text):
    return ast.parse(text.source).body[0]


texts = pytest.mark.parametrize("text", every_text(), ids=lambda text: text.__name__)


def test_there_is_a_text_for_every_layer_loss_and_optimiser():
    assert len(every_text()) >= 2 * 10 + 2 * 4 + 4


@texts
def test_a_text_is_short(text):
    lines = [line for line in text.source.splitlines() if line.strip()]
    assert len(lines) <= MOST_LINES
    most = MOST_OF_NORMALISATION if text.__module__.endswith("normalisation") else MOST_ARGUMENTS
    assert len(text.arguments) <= most


@texts
def test_a_text_uses_the_words_of_the_dialect_alone(text):
    node = tree(text)
    body = [each for part in node.body for each in ast.walk(part)]
    assert [type(each).__name__ for each in body if not isinstance(each, NODES)] == []
    stored = {each.id for each in body if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    own = stored - AXES
    assert all(len(name) > 3 for name in own), own  # what a text names itself it names in full
    arguments = {
        name.removeprefix("d") if name.startswith("d") and name[1:] in ARRAYS else name for name in text.arguments
    }
    assert arguments <= ARRAYS | SETTINGS
    used = {each.id for each in body if isinstance(each, ast.Name)}
    assert used <= set(text.arguments) | AXES | own | WORDS | STEPS
    attributes = {each.attr for each in body if isinstance(each, ast.Attribute)}
    assert attributes <= {"shape", "beta1", "beta2", "epsilon", "decay"}


@texts
def test_an_axis_has_one_letter_everywhere(text):
    """Image first; of weights filter, channel, row, column; pixels by row and column under a window, else i and j."""
    for each in ast.walk(tree(text)):
        if isinstance(each, ast.Subscript) and isinstance(each.value, ast.Name) and isinstance(each.slice, ast.Tuple):
            index = [part.id for part in each.slice.elts if isinstance(part, ast.Name)]
            if each.value.id in ("w", "dw"):
                assert index in (["k", "c", "u", "v"], ["k", "c"])
            elif each.value.id != "pixels":
                assert index[0] == "n"
                assert index[1:] in (["k", "i", "j"], ["c", "i", "j"], ["c", "row", "column"], ["k"], ["c"], ["g"], [])


def test_the_window_is_the_one_place_that_says_stride_padding_and_dilation():
    for text in every_text():
        assert not {"stride", "padding", "dilation", "size"} & set(text.source.replace("(", " ").split())
    assert {"stride", "padding", "dilation"} <= {
        each.attr
        for each in ast.walk(ast.parse(inspect.getsource(Window.__call__).strip()))
        if isinstance(each, ast.Attribute)
    }


def test_layers_hold_texts_and_records_and_little_else():
    files = pathlib.Path(inspect.getfile(pg.Conv)).parent.glob("*.py")
    lines = sum(len(file.read_text().splitlines()) for file in files)
    assert lines <= 45 * len(pg.Layer.kinds())  # a layer fits on a screen, its two texts among it
