"""Optimisers against the textbook's recurrences, and schedules by their laws."""

import decimal
import itertools
import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.errors import SettingError
from plaingrad.network.exact import decimals, fractions
from plaingrad.schedule.calls import update_call
from plaingrad.textbook.optimisers import (
    SGD,
    Adam,
    AdamW,
    Beginning,
    Constant,
    Cosine,
    Hold,
    LinearDecay,
    OneCycle,
    Optimiser,
    Schedule,
    StepDecay,
    Warmup,
)
from plaingrad.training.preparing import MOST_PARTS, SCHEDULES, schedule_from_text

SIZE, STEPS, DIGITS = 6, 5, 50


@pytest.fixture(params=range(3), ids="seed{}".format)
def rng(request):
    return np.random.default_rng(request.param)


class Bench:
    """An optimiser and the arrays it works on."""

    def __init__(self, optimiser, w, number):
        self.optimiser, self.number, self.done = optimiser, number, 0
        self.arrays = {name: np.array([number(0)] * len(w), w.dtype) for name in ("w", "dw", *optimiser.slots)}
        self.arrays["w"][:] = w

    def step(self, slope, factor=1.0):
        """One step down `slope`; the parameters after it."""
        self.arrays["dw"][:] = slope
        values = self.optimiser.numbers(self.done, factor).values()
        numbers = np.array([self.number(each) for each in values], self.arrays["w"].dtype)
        update_call(self.optimiser, self.arrays, numbers, self.number)()
        self.done += 1
        return self.arrays["w"].copy()


@pytest.mark.parametrize("decay", [0.0, 0.25])
@pytest.mark.parametrize("momentum", [0.0, 0.75])
def test_momentum_is_the_heavy_ball(momentum, decay, rng):
    """w' = w - rate · slope + momentum · (w - the w before), as Polyak wrote it; in fractions, with ==."""
    rate, before = Fraction(1, 8), None
    bench = Bench(SGD(rate=0.125, momentum=momentum, decay=decay), now := fractions(rng, (SIZE,)), Fraction)
    for _ in range(STEPS):
        slope = fractions(rng, (SIZE,))
        pushed = 0 if before is None else Fraction(momentum) * (now - before)
        before, now = now, now - rate * (slope + Fraction(decay) * now) + pushed
        assert bench.step(slope).tolist() == now.tolist()
    assert (now != before).any()


@pytest.mark.parametrize("momentum", [0.0, 0.75])
def test_nesterov_takes_the_slope_one_step_ahead(momentum, rng):
    """velocity' = momentum · velocity - rate · slope(point + momentum · velocity), point' = point + velocity'.

    So Sutskever and others (2013) write it. Kept here is the place ahead. On a bowl ½ c w², in fractions.
    """
    rate, momentum_, bowl = Fraction(1, 8), Fraction(momentum), fractions(rng, (SIZE,))
    point, velocity = fractions(rng, (SIZE,)), Fraction(0)
    bench = Bench(SGD(rate=0.125, momentum=momentum, nesterov=True), point, Fraction)
    for _ in range(STEPS):
        velocity = momentum_ * velocity - rate * bowl * (point + momentum_ * velocity)
        point = point + velocity
        assert bench.step(bowl * bench.arrays["w"]).tolist() == (point + momentum_ * velocity).tolist()


def test_a_schedule_scales_the_rate(rng):
    """A factor on the rate is the rate times it; the velocity does not know of it."""
    w, slopes = fractions(rng, (SIZE,)), fractions(rng, (STEPS, SIZE))
    scheduled, set_ = Bench(SGD(rate=0.5), w, Fraction), Bench(SGD(rate=0.5), w, Fraction)
    for number, slope in enumerate(slopes):
        set_.optimiser = SGD(rate=0.5 / 2**number)
        assert scheduled.step(slope, 1 / 2**number).tolist() == set_.step(slope).tolist()


@pytest.mark.parametrize("kind", [Adam, AdamW])
@pytest.mark.parametrize("decay", [0.0, 0.25])
def test_adam_is_the_textbook_s(kind, decay, rng):
    """Algorithm 1 of Kingma and Ba, and algorithm 2 of Loshchilov and Hutter, to 50 digits.

    All settings are dyadic, so that 1 - beta1^t is no rounded number.
    """
    settings = {"rate": 0.125, "beta1": 0.5, "beta2": 0.75, "epsilon": 2.0**-10, "decay": decay}
    rate, beta1, beta2, epsilon, decay = map(Decimal, settings.values())
    mean = square = np.zeros(SIZE, object)
    with decimal.localcontext(prec=DIGITS):
        bench = Bench(kind(**settings), w := decimals(rng, (SIZE,)), Decimal)
        for step in range(1, STEPS + 1):
            slope = decimals(rng, (SIZE,))
            found = bench.step(slope, 0.5)
            whole = slope + decay * w if kind is Adam else slope
            mean = beta1 * mean + (1 - beta1) * whole
            square = beta2 * square + (1 - beta2) * whole * whole
            root = np.frompyfunc(Decimal.sqrt, 1, 1)(square / (1 - beta2**step))
            shrunk = rate / 2 * decay * w if kind is AdamW else 0
            w = w - shrunk - rate / 2 * (mean / (1 - beta1**step)) / (root + epsilon)
            # a hundred operations, each right to the last of 50 digits; a root of nearly 0 loses half of them at most,
            # and does not here: slopes are tenths, so their squares are 0 or at least 1/100
            assert max(abs(found - w)) < Decimal(10) ** (10 - DIGITS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_without_a_slope_only_decay_moves(dtype, rng):
    """SGD and Adam without decay leave every bit; AdamW shrinks by 1 - rate · decay, in three roundings a step."""
    w = rng.normal(size=SIZE).astype(dtype)
    number = np.dtype(dtype).type
    for optimiser in (SGD(rate=0.1), SGD(rate=0.1, nesterov=True), Adam(rate=0.1), AdamW(rate=0.1, decay=0.0)):
        bench = Bench(optimiser, w, number)
        for _ in range(STEPS):
            np.testing.assert_array_equal(bench.step(0), w, err_msg=str(optimiser))
    bench, share = Bench(AdamW(rate=0.1, decay=0.5), w, number), Fraction(float(number(0.1 * 0.5)))
    unit = Fraction(float(np.finfo(dtype).eps)) / 2
    for _ in range(STEPS):
        before, after = bench.arrays["w"].copy(), bench.step(0)
        assert (abs(after) < abs(before)).all()
        for one, other in zip(before.tolist(), after.tolist(), strict=True):
            bound = 3 * unit / (1 - 3 * unit) * abs(Fraction(one)) * (1 + share)
            assert abs(Fraction(other) - (1 - share) * Fraction(one)) <= bound


@pytest.mark.parametrize("optimiser", [SGD(decay=0.25), Adam(decay=0.25)], ids=str)
def test_decay_pulls_to_zero(optimiser):
    bench = Bench(optimiser, np.array([1.0, -1.0]), float)
    high, low = bench.step(0)
    assert 0 < high < 1
    assert high == -low


LENGTHS = (1, 2, 3, 7, 10, 100, 1001)
EVERY = (
    *(Constant(), StepDecay(), StepDecay(every=2, factor=0.3), Cosine(), Cosine(floor=0.1)),
    *(OneCycle(), OneCycle(warmup=0.5, first=0.2, last=0.1), OneCycle(warmup=0), OneCycle(warmup=1)),
    *(LinearDecay(), LinearDecay(floor=0.1), Warmup(), Warmup(Cosine(), share=0.3, first=0.1), Hold(), Hold(Cosine())),
    *(Warmup(StepDecay()), Warmup(Hold(LinearDecay(), share=0.7)), Warmup(OneCycle(warmup=0), share=0.99, first=0)),
)


def factors(schedule, steps, per_epoch=3):
    return [schedule(step, steps, per_epoch) for step in range(steps)]


def test_every_kind_is_tested():
    assert set(Schedule.kinds()) == {type(each).__name__ for each in EVERY}
    assert set(Optimiser.kinds()) == {"SGD", "Adam", "AdamW"}


@pytest.mark.parametrize("steps", LENGTHS)
@pytest.mark.parametrize("schedule", EVERY, ids=str)
def test_a_factor_is_a_share_of_the_rate(schedule, steps):
    """Also past the end, where a resumed run may come. Never above 1."""
    for step in range(steps + 5):
        factor = schedule(step, steps, 3)
        assert isinstance(factor, float)
        assert 0 <= factor <= 1


@pytest.mark.parametrize("steps", LENGTHS)
def test_constant_is_constant(steps):
    assert set(factors(Constant(), steps)) == {1.0}


@pytest.mark.parametrize("steps", LENGTHS)
@pytest.mark.parametrize(("every", "factor", "per_epoch"), [(1, 0.5, 3), (2, 0.3, 3), (3, 1.0, 1), (1, 0.1, 5)])
def test_step_decay_falls_at_the_end_of_epochs(every, factor, per_epoch, steps):
    """From 1, level within `every` epochs, then times `factor`."""
    found = factors(StepDecay(every, factor), steps, per_epoch)
    stair = every * per_epoch
    assert found[0] == 1
    assert all(found[step] == found[step - step % stair] for step in range(steps))
    # each is a power of the factor, right within a rounding, and so is the product here: three roundings, γ(3)
    for step in range(stair, steps):
        assert found[step] == pytest.approx(found[step - stair] * factor, rel=3 * 2**-53 / (1 - 3 * 2**-53), abs=0)


@pytest.mark.parametrize("steps", LENGTHS)
@pytest.mark.parametrize("floor", [0.0, 0.125, 1.0])
def test_cosine_falls_from_the_full_rate_to_its_floor(floor, steps):
    """It begins at the full rate, reaches the floor one step after the last, and stays there."""
    found = factors(Cosine(floor), steps)
    assert found[0] == 1
    assert found == sorted(found, reverse=True)
    assert Cosine(floor)(steps, steps, 3) == floor
    assert Cosine(floor)(steps + 3, steps, 3) == floor
    if floor < 1:
        assert found[-1] > floor
    if steps > 3 and floor < 1:
        assert found[0] - found[1] < found[1] - found[2]  # level at first


@pytest.mark.parametrize("steps", LENGTHS)
@pytest.mark.parametrize("floor", [0.0, 0.125, 1.0])
def test_linear_decay_falls_by_the_same_at_each_step(floor, steps):
    """From the full rate to the floor, which it reaches one step after the last, and where it stays."""
    found = [*factors(LinearDecay(floor), steps), floor]
    fall = [before - after for before, after in itertools.pairwise(found)]
    # A factor is below 1 and off by four roundings at most, of 2⁻⁵³ each: quotient, difference, product, difference.
    assert found[0] == 1
    assert max(fall) - min(fall) <= 4 * 4 * 2**-53
    assert LinearDecay(floor)(steps, steps, 3) == pytest.approx(floor, rel=0, abs=2**-53)
    assert LinearDecay(floor)(steps + 3, steps, 3) == pytest.approx(floor, rel=0, abs=2**-53)


@pytest.mark.parametrize("steps", LENGTHS)
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.999, 1 - 2**-53])
@pytest.mark.parametrize("then", [each for each in EVERY if each(0, 1000, 1000) == 1], ids=str)
def test_what_begins_leaves_the_rest_as_if_it_were_all(then, share, steps):
    """A warm-up rises to the full rate by equal steps, hold stays there; then comes `then` of the steps that are left.

    One step is always left.
    """
    length = min(int(share * steps), steps - 1)
    for schedule, first in ((Warmup(then, share, 0.25), 0.25), (Hold(then, share), 1)):
        found = factors(schedule, steps)
        assert found[length:] == factors(then, steps - length)
        assert found[:length] == [first + (1 - first) * (step / length) for step in range(length)]
        assert schedule(steps + 2, steps, 3) == then(steps - length + 2, steps - length, 3)


def test_every_kind_has_a_name_and_each_joins_where_it_can():
    assert {type(each) for each in SCHEDULES.values()} == set(Schedule.kinds().values())
    for name, schedule in SCHEDULES.items():
        assert schedule_from_text(name) == schedule == type(schedule)()
        if schedule(0, 1000, 1000) == 1:
            assert schedule_from_text(f"warmup+{name}") == Warmup(schedule)
            assert schedule_from_text(f" hold , share=0.25 + {name}") == Hold(schedule, 0.25)
        else:
            with pytest.raises(SettingError, match="then begins at the full rate"):
                Warmup(schedule)
        if not isinstance(schedule, Beginning):
            with pytest.raises(SettingError, match=r"before a \+ stands one of warmup, hold$"):
                schedule_from_text(f"{name}+constant")
    assert schedule_from_text("One-Cycle,warmup=.5,last=1e-3") == OneCycle(warmup=0.5, last=0.001)
    assert schedule_from_text("warmup,first=0+hold+step,every=2") == Warmup(Hold(StepDecay(2)), first=0)
    assert pg.Trainer(pg.model("digits").network(), pg.digits().train, schedule="warmup+cosine").schedule == Warmup(
        Cosine()
    )


@pytest.mark.parametrize(
    ("text", "word"),
    [
        *(("cosin", "did you mean 'cosine'"), ("", "choose from"), ("+", "choose from"), ("warmup+", "choose from")),
        *(("cosine,floor", "a name and its settings"), ("cosine,floor=", "a name and its settings")),
        *(("cosine,floor=1,floor=1", "at most once"), ("cosine,floor=x", "with a number")),
        *(("cosine,floor=nan", "with a number"), ("step,every=" + "9" * 5000, "with a number")),
        *(("cosine,floor=1e999", "floor is a finite number"), ("step,every=1.5", "every is a whole number")),
        *(("cosine,lr=3", "choose from floor"), ("warmup,then=3", "then is a Schedule"), ("hold,share=1", "below 1")),
        *(("hold+" * 5000 + "cosine", f"at most {MOST_PARTS} parts"), ("warmup+onecycle", "begins at the full rate")),
    ],
)
def test_a_text_that_is_no_schedule_is_one_line(text, word):
    with pytest.raises(SettingError, match=word) as caught:
        schedule_from_text(text)
    assert "\n" not in str(caught.value)


@pytest.mark.torch
@pytest.mark.parametrize("steps", [7, 100])
def test_schedules_are_those_of_pytorch(steps):
    """LinearLR, and SequentialLR of LinearLR and CosineAnnealingLR; PyTorch multiplies from step to step."""
    torch = pytest.importorskip("torch")
    rates = torch.optim.lr_scheduler

    def theirs(make):
        optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule, found = make(optimiser), []
        for _ in range(steps):
            found.append(optimiser.param_groups[0]["lr"])
            optimiser.step()
            schedule.step()
        return found

    length = int(0.3 * steps)
    linear = theirs(lambda optimiser: rates.LinearLR(optimiser, 1.0, 0.125, steps))
    joined = theirs(
        lambda optimiser: rates.SequentialLR(
            optimiser,
            [
                rates.LinearLR(optimiser, 0.25, 1.0, length),
                rates.CosineAnnealingLR(optimiser, steps - length),
            ],
            [length],
        )
    )
    # Each step of theirs multiplies once more, with a few roundings; the factors are at most 1.
    near = {"rtol": 0, "atol": 10 * steps * 2**-53}
    np.testing.assert_allclose(factors(LinearDecay(0.125), steps), linear, **near)
    np.testing.assert_allclose(factors(Warmup(Cosine(0), 0.3, 0.25), steps), joined, **near)


@pytest.mark.parametrize("steps", LENGTHS)
@pytest.mark.parametrize("cycle", [each for each in EVERY if isinstance(each, OneCycle)], ids=str)
def test_one_cycle_rises_and_falls(cycle, steps):
    """Up while below `warmup` of the way, then down, to `last` one step after the last, however few steps there are."""
    found = factors(cycle, steps)
    top = cycle.warmup * (steps - 1)
    peak = found.index(max(found))
    assert abs(peak - top) < 1
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)
    if top == int(top) and steps > 1:
        assert found[int(top)] == 1
    if steps > 1 and cycle.warmup > 0:
        assert found[0] == cycle.first
    if steps > 1 and cycle.warmup < 1:
        assert found[-1] > cycle.last
        assert cycle(steps, steps, 3) == cycle.last
        assert cycle(steps + 3, steps, 3) == cycle.last


@pytest.mark.parametrize("schedule", EVERY, ids=str)
@pytest.mark.parametrize("epochs", [1, 2, 30])
def test_the_last_step_of_every_training_counts(schedule, epochs):
    """A step of a thousandth of the rate still changes float32 weights."""
    steps = 23 * epochs
    assert schedule(steps - 1, steps, 23) > 0
    if schedule in SCHEDULES.values() and not isinstance(schedule, StepDecay):
        assert schedule(steps - 1, steps, 23) >= 0.001
    data = pg.digits().train.take(slice(0, 64))
    if epochs == 2:
        nets = [pg.model("mlp").network((1, 8, 8)) for _ in range(2)]
        trainers = [pg.Trainer(net, data, epochs=2, batch=8, schedule=schedule, threads=1) for net in nets]

        def stop(event):
            if event.step == event.steps - 1:
                trainers[0].stop = True

        trainers[0].watch = stop
        with pytest.raises(pg.StoppedError):
            trainers[0].train()
        trainers[1].train()
        assert (nets[0].parameters != nets[1].parameters).any()


NAN, INFINITY = float("nan"), float("inf")
WRONG = [
    *((kind, "rate", value) for kind in (SGD, Adam, AdamW) for value in (0, 0.0, -0.1, INFINITY, NAN, "0.1", None)),
    *((SGD, "momentum", value) for value in (1, 1.0, -0.5, NAN, INFINITY, "0.9", None)),
    *((kind, "decay", value) for kind in (SGD, Adam, AdamW) for value in (-1e-9, 1, NAN, "0.1")),
    *((kind, name, value) for kind in (Adam, AdamW) for name in ("beta1", "beta2") for value in (1, -0.1, NAN)),
    *((kind, "epsilon", value) for kind in (Adam, AdamW) for value in (0, -1e-8, NAN, INFINITY)),
    (SGD, "nesterov", "yes"),
    *((StepDecay, "every", value) for value in (0, -1, 1.5, None)),
    *((StepDecay, "factor", value) for value in (0, -0.5, 1.5, NAN, "0.5")),
    *((Cosine, "floor", value) for value in (-0.1, 1.1, NAN, "0")),
    *((LinearDecay, "floor", value) for value in (-0.1, 1.1, NAN, "0")),
    *((kind, "share", value) for kind in (Warmup, Hold) for value in (0, 1, -0.1, NAN, "0.5")),
    *((kind, "then", value) for kind in (Warmup, Hold) for value in (None, 1, OneCycle(), Warmup())),
    *((Warmup, "first", value) for value in (-0.1, 1.1, NAN, None)),
    *((OneCycle, name, value) for name in ("warmup", "first", "last") for value in (-0.1, 1.1, NAN, "0")),
]


@pytest.mark.parametrize(("kind", "name", "value"), WRONG)
def test_a_wrong_setting_is_named(kind, name, value):
    """One line: who, what it got, what it needs."""
    with pytest.raises(
        SettingError, match=rf"^{kind.__name__} got {name}={re.escape(repr(value))}; [^\n]*\b{name}\b[^\n]*$"
    ):
        kind(**{name: value})


@pytest.mark.parametrize("record", [*EVERY, SGD(nesterov=True), Adam(), AdamW(decay=0.5)], ids=str)
def test_settings_travel_as_json(record):
    family = Schedule if isinstance(record, Schedule) else Optimiser
    assert family.from_json(record.to_json()) == record
