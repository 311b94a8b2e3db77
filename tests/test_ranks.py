"""Ranks share a batch as threads do: the bits are those of one process. Here without MPI, one rank after the other."""

import sys

import numpy as np
import pytest

import plaingrad as pg
from plaingrad.cli.main import main
from plaingrad.compiler.machine_code import processors
from plaingrad.errors import SettingError
from plaingrad.textbook.layers.normalisation import BatchNorm
from plaingrad.training import launched
from plaingrad.training.chain import PIECE, read_by
from plaingrad.training.launched import LAUNCHED, RANKS, launch
from plaingrad.training.ranks import OneRank
from plaingrad.training.shards import Shards, batch_for, lanes_for


class InTurn(OneRank):
    """One of several ranks that run one after the other: each finds on the board what the one before left there."""

    def __init__(self, rank, size, board):
        self.rank, self.size, self.board = rank, size, board

    def pass_on(self, pieces):
        for number, (array, change) in enumerate(pieces):
            if self.rank:
                array[...] = self.board[number]
                change()
            self.board[number] = array.copy()


def normalised(dtype="float32"):
    return pg.Network(
        pg.Conv(4, size=2), pg.BatchNorm(), pg.ReLU(), pg.Flatten(), pg.Dense(40), pg.Dense(3),
        input=(1, 9, 8), seed=0, dtype=dtype,
    )  # fmt: skip


IMAGES = np.random.default_rng(0).normal(size=(256, 1, 9, 8))
LABELS = np.random.default_rng(1).integers(0, 3, 256)


def step(net, index, threads, ranks=None):
    """The loss and hits of a batch on this rank, its gradient and the running values it leaves."""
    with Shards(net, pg.SoftmaxCrossEntropy(), 256, threads, ranks=ranks) as shards:
        score = shards.step(IMAGES, LABELS, index)
        return score, shards.gradient.copy(), net.state.copy()


@pytest.mark.parametrize("size", [2, 3, 8, 11])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("count", [256, 200, 33, 1])
@pytest.mark.often(8)
def test_a_sum_that_goes_from_rank_to_rank_has_the_bits_of_one_process(size, threads, count):
    index = np.random.default_rng(2).permutation(256)[:count]
    (_, hits), gradient, state = step(normalised(), index, 1)
    board, ranks = {}, [InTurn(rank, size, {}) for rank in range(size)]
    found = 0
    for each in ranks:
        each.board = board
        (_, own_hits), last_gradient, last_state = step(normalised(), index, threads, each)
        found += own_hits
    assert gradient.any()
    assert state.any()
    np.testing.assert_array_equal(last_gradient, gradient)
    np.testing.assert_array_equal(last_state, state)
    assert found == hits


def test_a_long_gradient_goes_in_pieces():
    net = pg.Network(pg.Flatten(), pg.Dense(2 * PIECE // 72), pg.ReLU(), pg.Dense(3), input=(1, 9, 8), seed=0)
    index, board = np.arange(128), {}
    _, gradient, _ = step(net, index, 2)
    for rank in range(2):
        _, last, _ = step(net, index, 2, InTurn(rank, 2, board))
    assert len(board) == -(-net.parameters.size // PIECE) > 2
    np.testing.assert_array_equal(last, gradient)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 64])
def test_shards_are_dealt_to_ranks_in_order_and_evenly(size, count):
    ranks = [InTurn(rank, size, {}) for rank in range(size)]
    dealt = ranks[0].dealt(count)
    assert [number for each in dealt for number in each] == [*range(count)]
    assert [rank.own(count) for rank in ranks] == dealt
    lengths = [len(each) for each in dealt]
    assert max(lengths) - min(lengths) <= 1
    assert lengths[0] == max(lengths)


def test_what_settles_running_values_is_kept_without_the_images():
    assert read_by(BatchNorm.settle) == {
        "share", "mean", "variance", "running_mean", "running_variance", "momentum",
    }  # fmt: skip


@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_the_batch_that_is_advised_feeds_every_rank(ranks):
    net = normalised()
    batch = batch_for(net, ranks, 4096)
    assert -(-batch // lanes_for(net, batch)) >= ranks
    assert -(-(batch // 2) // lanes_for(net, batch // 2)) < ranks
    assert batch_for(net, ranks, 1) is None


def test_one_rank_has_all_processors():
    assert OneRank().threads() == processors()


def test_ranks_that_are_none_are_refused():
    with pytest.raises(SettingError, match="ranks=4"):
        pg.Trainer(normalised(), pg.from_arrays(IMAGES, LABELS), ranks=4)


@pytest.mark.parametrize(("name", "number"), [*zip(LAUNCHED, RANKS, strict=True)])
def test_each_launcher_tells_its_rank(monkeypatch, name, number):
    monkeypatch.setenv(name, "2")
    monkeypatch.setenv(number, "1")
    assert (launch().name, launch().rank, launch().are_several) == (name, 1, True)
    assert launch().speaks == (name == "PMIX_RANK")  # its first rank cannot know that there are others


@pytest.mark.parametrize("rank", [0, 1])
def test_without_mpi4py_several_processes_say_so_in_one_line(tmp_path, monkeypatch, capsys, rank):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.setattr(launched, "SILENCE", 0)
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setenv("PMI_RANK", str(rank))
    with pytest.raises(SystemExit) as ended:
        main(["train"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.count("\n") == (rank == 0)
    if rank == 0:
        assert "pip install 'plaingrad[mpi]'" in told
        with pytest.raises(SettingError, match="several times at once"):
            pg.train(normalised(), IMAGES, LABELS)
    assert not any(tmp_path.iterdir())
