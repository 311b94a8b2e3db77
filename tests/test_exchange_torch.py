"""Networks as PyTorch modules: both ways, and as a file of the arrays under PyTorch's names."""

import importlib
import sys

import numpy as np
import pytest
import safetensors.numpy

import plaingrad as pg
from exchanged import APART, apart, disturbed, networks, refuse_what_is_not_finite
from plaingrad.exchange.torch_writing import MODULES, planned
from plaingrad.textbook.layer import Layer
from plaingrad.textbook.layers.pool import Pool

NETWORKS = dict(networks())


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is an optional dependency")


def outputs(torch, module, images):
    with torch.no_grad():
        return module(torch.tensor(images)).numpy()


def test_every_layer_has_modules():
    ours = {kind for kind in Layer.kinds().values() if kind.__module__.startswith("plaingrad.")} - {Pool}
    assert set(MODULES) == ours


def test_without_pytorch_there_is_a_word_of_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    net = pg.Network(pg.Dense(2), input=(3,))
    for taken in (net.to_torch, lambda: pg.from_torch(None, input=(3,))):
        with pytest.raises(pg.MissingError, match=r"_torch needs PyTorch, which is not installed: pip install torch$"):
            taken()


def test_the_state_is_written_without_pytorch(monkeypatch, tmp_path):
    """An activation within a layer is a module of its own there, so the next number is left out."""
    monkeypatch.setitem(sys.modules, "torch", None)
    net = pg.Network(pg.Conv(2, activation=pg.ReLU()), pg.BatchNorm(), pg.Flatten(), pg.Dense(3), input=(1, 4, 5))
    net.to_torch_state(tmp_path / "net.safetensors")
    arrays = safetensors.numpy.load_file(tmp_path / "net.safetensors")
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = {"0.weight", "0.bias", *(f"2.{each}" for each in norm), "4.weight", "4.bias"}
    assert arrays.keys() == names
    np.testing.assert_array_equal(arrays["4.weight"], net["dense1"].w)
    np.testing.assert_array_equal(arrays["2.running_var"], net["batchnorm1"].running_variance)


@pytest.mark.exchange
@pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel")
@pytest.mark.parametrize("name", NETWORKS)
def test_both_ways(torch, name):
    net, images = disturbed(NETWORKS[name]())
    module = net.to_torch()
    assert apart(outputs(torch, module, images), net(images)) <= APART
    again = pg.from_torch(module, input=net.input)
    np.testing.assert_array_equal(again(images), net(images))
    assert {type(each) for each in net.layers} <= {type(each) for each in again.layers}


@pytest.mark.exchange
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_number_type_stays(torch, dtype):
    net, images = disturbed(pg.Network(pg.Conv(2), pg.Flatten(), pg.Dense(3), input=(1, 4, 5), dtype=dtype))
    module = net.to_torch()
    assert {each.dtype for each in module.parameters()} == {getattr(torch, dtype)}
    assert pg.from_torch(module, input=(1, 4, 5)).dtype == net.dtype
    assert apart(outputs(torch, module, images.astype(dtype)), net(images.astype(dtype))) <= APART


@pytest.mark.exchange
@pytest.mark.parametrize("name", ["lenet5", "resnet8"])
def test_the_state_loads_into_a_module_of_pytorch(torch, tmp_path, name):
    from safetensors.torch import load_file

    net, _ = disturbed(NETWORKS[name]())
    net.to_torch_state(tmp_path / "net.safetensors")
    fresh = pg.model(name).network(seed=5)
    fresh.offset[:], fresh.factor[:] = net.offset, net.factor
    module = fresh.to_torch()
    assert str(module.load_state_dict(load_file(tmp_path / "net.safetensors"))) == "<All keys matched successfully>"
    images = np.random.default_rng(0).normal(size=(3, *net.input)).astype("float32")
    assert apart(outputs(torch, module, images), net(images)) <= APART


@pytest.mark.exchange
def test_the_state_loads_into_a_sequence_of_ones_own(torch, tmp_path):
    from safetensors.torch import load_file

    nn = torch.nn
    net, images = disturbed(pg.Network(pg.Conv(2, activation=pg.ReLU()), pg.Flatten(), pg.Dense(3), input=(1, 4, 5)))
    net.offset[:], net.factor[:] = 0, 1
    net.to_torch_state(tmp_path / "net.safetensors")
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3))
    module.load_state_dict(load_file(tmp_path / "net.safetensors"))
    assert apart(outputs(torch, module, images), net(images)) <= APART


@pytest.mark.exchange
def test_a_module_can_be_trained(torch):
    """Every parameter of the network is one of the module."""
    net, _ = disturbed(pg.model("resnet8").network())
    assert sum(each.numel() for each in net.to_torch().parameters()) == net.size


def residual(torch):
    """A residual network as one writes it in PyTorch."""
    nn, functional = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self, before, channels, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(channels)
            self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(channels)
            self.stride, self.more = stride, channels - before

        def forward(self, x):
            out = functional.relu(self.bn1(self.conv1(x)))
            out = self.bn2(self.conv2(out))
            skip = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
            out += skip
            return torch.relu(out)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(3, 4, 3, padding="same")
            self.blocks = nn.Sequential(Block(4, 4, 1), Block(4, 8, 2))
            self.drop = nn.Dropout(0.3)
            self.last = nn.Linear(8 * 2 * 2, 5)

        def forward(self, x):
            x = functional.leaky_relu(self.first(x), 0.25)
            x = functional.avg_pool2d(self.blocks(x), 2)
            x = x.view(x.size(0), -1)
            return functional.softmax(self.last(self.drop(x)), dim=1)

    torch.manual_seed(0)
    net = Net()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight)
    return net.eval()


@pytest.mark.exchange
def test_a_residual_network_of_ones_own(torch, tmp_path):
    module = residual(torch)
    net = pg.from_torch(module, input=(3, 8, 8))
    assert [each for each in net.layers if isinstance(each, pg.Add)] == [pg.Add("leakyrelu1"), pg.Add("relu2")]
    images = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype("float32")
    assert apart(net(images), outputs(torch, module, images)) <= APART
    assert apart(outputs(torch, net.to_torch(), images), net(images)) <= APART


def forms(nn):
    """Modules as others write them, with their input and layers."""
    yield (2, 6, 6), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), (pg.GlobalMeanPool(),)
    yield (2, 6, 6), nn.Sequential(nn.AdaptiveAvgPool2d((2, 3))), (pg.MeanPool((3, 2)),)
    yield (2, 6, 6), nn.AdaptiveMaxPool2d(3), (pg.MaxPool(2),)
    yield (
        (2, 6, 6),
        nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(2, 2, 3, bias=False)),
        (pg.Conv(2, padding=1, bias=False),),
    )
    yield (2, 6, 6), nn.InstanceNorm2d(2), (pg.GroupNorm(2),)
    yield (6,), nn.LayerNorm(6), (pg.GroupNorm(1),)
    yield (6,), nn.BatchNorm1d(6, affine=False), (pg.BatchNorm(),)
    yield (2, 6, 6), nn.Sequential(nn.Identity(), nn.Dropout2d(), nn.SiLU()), (pg.SiLU(),)
    yield (2, 6, 6), nn.GELU("tanh"), (pg.TanhGELU(),)
    yield (2, 6, 6), nn.MaxPool2d(3, 2, 1, ceil_mode=True), (pg.MaxPool(3, stride=2, padding=1, ceil_mode=True),)


@pytest.mark.exchange
@pytest.mark.parametrize("number", range(10))
def test_forms_that_others_write(torch, number):
    every = list(forms(torch.nn))
    assert len(every) == 10
    shape, module, layers = every[number]
    module.eval()
    net = pg.from_torch(module, input=shape)
    assert net.layers == layers
    images = np.random.default_rng(0).normal(size=(3, *shape)).astype("float32")
    assert apart(net(images), outputs(torch, module, images)) <= APART


def of_function(torch, function):
    class Own(torch.nn.Module):
        def forward(self, x):
            return function(x)

    return Own()


def two_inputs(torch):
    class Own(torch.nn.Module):
        def forward(self, x, y):
            return x + y

    return Own()


def hooked(torch):
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(72, 3))
    module[1].register_forward_hook(lambda own, given, made: 2 * made)
    return module


def pruned(torch):
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(72, 3))
    importlib.import_module("torch.nn.utils.prune").l1_unstructured(module[1], "weight", 2)
    return module


def written_over(torch, how):
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = torch.nn.Conv2d(2, 2, 1), torch.nn.Conv2d(2, 2, 1)
            self.relu = torch.nn.ReLU(inplace=True)

        def forward(self, x):
            a = self.one(x)
            return self.other({"module": self.relu, "method": torch.Tensor.relu_}.get(how, how)(a)) + a

    return Own()


def in_place(torch):
    return lambda x: torch.nn.functional.relu(x, inplace=True)


REFUSED = {
    "1 (Linear) has hooks": hooked,
    "module 1 (Linear) has hooks, which may": pruned,
    "relu works in place on a value that is used again": lambda torch: written_over(torch, "module"),
    "relu_ works in place on a value that is used again": lambda torch: written_over(torch, lambda x: x.relu_()),
    "in place on a value that is used again: let": lambda torch: written_over(torch, in_place(torch)),
    "module 1 (PReLU)": lambda torch: torch.nn.Sequential(torch.nn.ReLU(), torch.nn.PReLU()),
    "knows no layer for the call of erf": lambda torch: of_function(torch, torch.erf),
    "adds the network's input": lambda torch: of_function(torch, lambda x: torch.relu(x) + x),
    "takes the output of relu1 again": lambda torch: of_function(
        torch, lambda x: torch.cat([torch.tanh(y := torch.relu(x)), torch.sigmoid(y)])
    ),
    "knows no layer for the sum of a tensor and a number": lambda torch: of_function(torch, lambda x: x + 1),
    "cannot follow the module's forward": lambda torch: of_function(torch, lambda x: x if x.sum() > 0 else -x),
    "is no Flatten: write x.flatten(1)": lambda torch: of_function(torch, lambda x: x.view(-1, 3)),
    "padding_mode='circular'": lambda torch: torch.nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"),
    "it takes one axis; put Flatten() before it": lambda torch: torch.nn.Linear(6, 2),
    "torch.bfloat16": lambda torch: torch.nn.Conv2d(2, 2, 3).bfloat16(),
    "without running values": lambda torch: torch.nn.BatchNorm2d(2, track_running_stats=False),
    "has a weight for each pixel": lambda torch: torch.nn.LayerNorm((2, 6, 6)),
    "windows of unequal size": lambda torch: torch.nn.AdaptiveAvgPool2d(4),
    "it holds no layer": lambda torch: torch.nn.Identity(),
    "it needs a torch.nn.Module": lambda torch: np.tanh,
    "forward() missing 1 required positional argument: 'y'": lambda torch: two_inputs(torch),
}


@pytest.mark.exchange
def test_what_is_written_over_and_not_used_again_is_followed(torch):
    """As residual networks are usually written; a module's own name may end as in-place methods do."""

    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other_ = torch.nn.Conv2d(2, 2, 1), torch.nn.Conv2d(2, 2, 1)
            self.relu = torch.nn.ReLU(inplace=True)

        def forward(self, x):
            identity = self.relu(self.one(x))
            out = self.other_(identity)
            out += identity
            return self.relu(out)

    module = Own().eval()
    net = pg.from_torch(module, input=(2, 6, 6))
    images = np.random.default_rng(0).normal(size=(3, 2, 6, 6)).astype("float32")
    assert apart(net(images), outputs(torch, module, images)) <= APART


@pytest.mark.exchange
def test_what_is_not_finite_is_refused(torch):
    refuse_what_is_not_finite(lambda net: pg.from_torch(net.to_torch(), input=net.input))


DROPPED = {  # a function of the module and x
    "usual": lambda functional, own, x: functional.dropout(x),
    "told how much": lambda functional, own, x: functional.dropout(x, 0.25),
    "by channel": lambda functional, own, x: functional.dropout2d(x),
    "always": lambda functional, own, x: functional.dropout(x, training=True),
    "none at all": lambda functional, own, x: functional.dropout(x, 0.0),
    "in training": lambda functional, own, x: functional.dropout(x, training=own.training),
    "in training, by place": lambda functional, own, x: functional.dropout2d(x, 0.25, own.training),
    "never": lambda functional, own, x: functional.dropout(x, 0.25, False),
    "torch's own": lambda functional, own, x: functional.torch.dropout(x, 0.25, True),
    "torch's own, by name": lambda functional, own, x: functional.torch.dropout(x, p=0.25, train=own.training),
}


@pytest.mark.exchange
@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("how", DROPPED)
def test_a_dropout_is_left_out_where_it_ends_with_training_and_refused_where_it_does_not(torch, how, is_training):
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.functional = torch.nn.Conv2d(2, 2, 1), torch.nn.functional

        def forward(self, x):
            return DROPPED[how](self.functional, self, self.one(x))

    images = np.random.default_rng(0).normal(size=(3, 2, 6, 6)).astype("float32")
    module = Own().eval()
    wanted = outputs(torch, module.one, images)
    ends = apart(outputs(torch, module, images), wanted) == 0
    module.train(is_training)
    if ends:
        assert apart(pg.from_torch(module, input=(2, 6, 6))(images), wanted) <= APART
    else:
        with pytest.raises(pg.SettingError, match=r"^[^\n]*goes on once the network is trained[^\n]*$"):
            pg.from_torch(module, input=(2, 6, 6))
    assert all(each.training == is_training for each in module.modules())


@pytest.mark.exchange
@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_taken_is_named_in_one_line(torch, words):
    with pytest.raises(pg.SettingError) as caught:
        pg.from_torch(REFUSED[words](torch), input=(2, 6, 6))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.exchange
def test_a_layer_of_ones_own_has_no_module(torch):
    class Mine(pg.ReLU):
        pass

    with pytest.raises(pg.SettingError, match=r"to_torch has no module for mine1 = Mine\(\)"):
        planned(pg.Network(Mine(), input=(3,)), "to_torch")
