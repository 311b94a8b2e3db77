"""Softmax and cross-entropy apart, in float32, on scores of any size: small probabilities are divided by."""

import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest

import plaingrad as pg
from often import counts
from plaingrad.checking.check import check_answer
from plaingrad.checking.new_case import make_case

SOFTMAXES = {
    "of what is below the largest": lambda z: scaled(np.exp(below(z))),
    "of the scores": lambda z: scaled(np.exp(z)),
    "by its logarithm": lambda z: np.exp(below(z) - np.log(np.exp(below(z)).sum(1, keepdims=True))),
}
BACKS = {
    "a difference times p": lambda p, dy: p * (dy - (p * dy).sum(1, keepdims=True)),
    "a difference of products": lambda p, dy: p * dy - p * (p * dy).sum(1, keepdims=True),
    "a Jacobian": lambda p, dy: np.stack([(np.diag(q) - np.outer(q, q)) @ each for q, each in zip(p, dy, strict=True)]),
    "p (1 - p) and -p p": lambda p, dy: p * (1 - p) * dy - p * rest_of(p, dy),
}
PARTS = {
    "all": lambda name: True,
    "without probabilities": lambda name: "softmax1.y" not in name and "loss" not in name,
    "gradients": lambda name: name.endswith((".dw", ".db")),
    "weights": lambda name: name.endswith((".w", ".b")),
}


def below(z):
    """How far each score is below the largest of its row."""
    return z - z.max(1, keepdims=True)


def scaled(e):
    """Each row as shares of its sum."""
    return e / e.sum(1, keepdims=True)


def rest_of(p, dy):
    """Σ of p·dy over the other outputs, each by itself."""
    return np.stack([sum((np.delete(p * dy, k, 1)).T) for k in range(p.shape[1])], 1)


@functools.cache
def case_of(seed, times):
    """A small network whose scores are as many times as large."""
    layers = (pg.Flatten(), pg.Dense(6), pg.ReLU(), pg.Dense(5), pg.Softmax())
    case = make_case(layers, (2, 3, 4), images=4, seed=seed)
    net = case.net.copy()
    net.arrays["dense2.w"][...] *= times
    return replace(case, net=net, rate=case.rate / 64)


def answer_of(case, softmax, back, dtype=np.float32):
    """All arrays of a program, in one arithmetic; None where some are not finite."""
    w1, b1, w2, b2 = (case.net.arrays[name].astype(dtype) for name in ("dense1.w", "dense1.b", "dense2.w", "dense2.b"))
    rate, out = dtype(case.rate), {}
    for t, batch in enumerate(case.batches, 1):
        n, at = len(batch.x), "" if t == 1 else f"step{t}."
        x, target = batch.x.astype(dtype).reshape(n, -1), batch.target.astype(dtype)
        with np.errstate(all="ignore"):
            y1 = x @ w1.T + b1
            rectified = np.maximum(y1, 0)
            scores = rectified @ w2.T + b2
            p = softmax(scores)
            loss, error = -(target * np.log(p)).sum() / dtype(n), -target / p / dtype(n)
            dz = back(p, error)
            dw2, db2, dr = dz.T @ rectified, dz.sum(0), dz @ w2
            dy1 = dr * (y1 > 0)
            dw1, db1, dx = dy1.T @ x, dy1.sum(0), dy1 @ w1
            w1, b1, w2, b2 = w1 - rate * dw1, b1 - rate * db1, w2 - rate * dw2, b2 - rate * db2
        made = {
            "flatten1.y": x,
            "dense1.y": y1,
            "relu1.y": rectified,
            "dense2.y": scores,
            "softmax1.y": p,
            "loss": loss,
        }
        made |= {"loss.dx": error, "softmax1.dx": dz, "dense2.dw": dw2, "dense2.db": db2, "dense2.dx": dr}
        made |= {"relu1.dx": dy1, "dense1.dw": dw1, "dense1.db": db1, "dense1.dx": dx}
        made |= {"flatten1.dx": dx.reshape(batch.x.shape)}
        out |= {f"{at}{name}": array for name, array in made.items()}
        weights = {"dense1.w": w1, "dense1.b": b1, "dense2.w": w2, "dense2.b": b2}
        out |= {f"step{t}.{name}": array for name, array in weights.items()}
    answer = {name: np.asarray(array, float) for name, array in out.items()}
    return answer if all(np.isfinite(each).all() for each in answer.values()) else None


@counts(1, 12)
@pytest.mark.parametrize("times", [1, 8])
def test_a_right_program_is_right_whatever_is_divided(count, times):
    done = 0
    for seed, softmax, back in itertools.product(range(6, 6 + count), SOFTMAXES, BACKS):
        answer = answer_of(case_of(seed, times), SOFTMAXES[softmax], BACKS[back])
        for part, is_kept in PARTS.items() if answer is not None else ():
            verdict = check_answer(case_of(seed, times), {name: each for name, each in answer.items() if is_kept(name)})
            assert verdict.is_right, (seed, softmax, back, part, verdict.text())
            done += 1
    assert done >= 12 * count


@counts(1, 12)
@pytest.mark.parametrize("times", [1, 8])
def test_a_wrong_sign_behind_a_small_probability_is_neither_right_nor_called_anything_else(count, times):
    for seed, (part, is_kept) in itertools.product(range(6, 6 + count), PARTS.items()):
        answer = answer_of(case_of(seed, times), SOFTMAXES["of the scores"], lambda p, dy: -BACKS["a Jacobian"](p, dy))
        if answer is not None:
            verdict = check_answer(case_of(seed, times), {name: each for name, each in answer.items() if is_kept(name)})
            assert not verdict.is_right, (seed, part, verdict.text())
            assert {each.id for each in verdict.mistakes} <= {"negated", "uphill"}, (seed, part, verdict.text())
