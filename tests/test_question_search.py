"""How one finds a question: in the words that people use, the question meant comes first."""

import re

import pytest

from plaingrad.errors import SettingError
from plaingrad.explaining.question_search import found, is_sure, tokens
from plaingrad.explaining.questions import questions

# The name of a question, and what people type who mean it.
TYPED = """
derivative: what's a derivative; derivatives for beginners; slope of the loss; gradient meaning;
    what is a derivative in simple words why do we need it for neural network
why-it-works: backprop; backpropagation; back propagation; back-propagation; why does backprop work;
    how does back propagation work; gradient descent; intuition behind backpropagation
best-explanation: best explanation of backpropagation; best tutorial; good tutorial
first-cnn: how do I backpropagate through max pooling, and find the derivatives of the weights of the convolution;
    back propagation through a simple convolutional neural network; a cnn step by step; worked example cnn;
    derive all gradients of a cnn; CNN example by hand
chain-rule: just the chain rule?; is backprop only chain rule; chain rule
reverse-mode: autodiff; automatic differentiation; auto-diff; reverse mode; reverse-mode AD; dynamic programming;
    computational graph; memoization
dense-loop: Sum = Sum + weights[k][j] * error[k]; sum += weights[k][j] * error[k]; for loop convolution java;
    nested loops; c++ code; loop of a dense layer for a convolution
kernel-gradient: how do i calculate the bias gradient of a filter;
    bias of a convolution; update kernel; how to update the kernels if they are 5x5 and the image is 28x28;
    bias of a feature map; bias is a single value for the whole feature map, how to update it;
    weight gradient of a convolution; which output of the input neuron is used
full-convolution: backward pass convolution; convolution backward; full convolution; rotate kernel 180; flip the kernel;
    flipped filters; conv2d backward; scipy convolve2d; matlab conv2; conv layer backprop;
    two filters over 3 channels which deltas do i sum for the previous layer;
    conv2 has 2 filters and 3 input channels, what do i sum over to get the error of each channel
rotated-or-not: why does the kernel need to be rotated in gradient computing; books rotate, programs do not;
    cross-correlation; col2im; is rotating necessary
stride: strides; stride 2; strided convolution; convolution with stride and padding; dilated errors
dense-formula: dW = delta * x^T; dW = δ·xᵀ; dW = Δ·Xᵀ; dw = delta x.T; im2col; weight gradient of a dense layer;
    fully connected formula
shared-weight: same kernel used at 576 positions, do i add the gradients or divide by 576;
    how does one adapt backpropagation for shared weights; weight sharing; shared weights;
    sum over positions or mean
two-kernels: two kernels; product of sums; sum of products; dC/dw1; ∂C/∂w₁; two convolutions in a row
as-dense: convolution as a matrix; toeplitz; is convolution fully-connected; convolution is a dense layer;
    sparse matrix
error-through-pooling: how propagate the error delta from a pooling layer to l - 1; pooling backward;
    pooling layer backpropagation; error through pooling; backprop through pooling; layer l - 1
no-weights: delta when the next layer is subsampling without weights; next layer has no weights; layer without weights;
    lenet 1998 delta; delta of a conv layer
upsample-formula: upsample; up-sample; upsampling; δ = upsample(Wᵀδ) • f′; ufldl; delta = upsample(W^T delta) . f';
    kron
mean-pool-beta: mean pooling; average pooling; avgpool; avg pool; beta; β; mean-pool; divide by 4;
    average pooling backward do i divide the error by 4
max-position: equal pixels; ties; argmax; switches; two maxima; store the maximum's position; tie in max pooling
one-or-error: am I to multiply it by the input after max pooling; 1 or the error; maximum gets 1;
    gradient of max pooling; maxpool backward
max-formula: derivative of max; max(x,y); absolute value; |x - y|
overlap: overlapping pooling; overlaps; mask; 0/1 mask; stride smaller than window
l2-pool: L2 pooling's backward; l2 backward; l2-pooling; norm pooling
flatten: flatten; flattening; unflatten; reshape; backprop through flatten; flatten backward;
    the derivative of the loss with respect to the flattened layer
relu: relu derivative; relu backward; relu backprop; derivative of relu at 0; error through relu
whose-derivative: sigmoid derivative; derivative of tanh; y(1-y); σ′; activation's derivative;
    which activation's derivative; sigmoid prime
which-activation: activation functions; leaky relu; leaky-relu; relu or sigmoid; tanh; which activation should I choose
relu-place: relu own layer; is relu a layer; relu part of convolution
fused-relu: fused relu; fusing; is relu faster; speed
dead-relu: dead relu; dying ReLUs; dying relu problem; dead neurons;
    most of my relu outputs are zero and never change, dead neurons?
vanishing: sigmoid my first layers dont learn gradients get tiny;
    vanishing gradient; gradients vanish; exploding gradients; deep networks; vanishing gradient problem
softmax: softmax; softmax jacobian; cross entropy; cross-entropy derivative; softmax's derivative; p - y; p − y;
    log loss; derivative of the softmax;
    i have the softmax output and cross entropy, what do i give back to the layer before
one-hot: why do labels have to be 0 0 0 1 0 0 instead of just 3;
    one hot; onehot; one-hot encoding; labels; encode classes
batchnorm: batchnorm; batch norm; batch normalization backward; backprop through batchnorm; BatchNorm gradient;
    gradient of batch normalisation; derivative of batch norm; batchnorm dx
batchnorm-axes: batchnorm axes; axes of batch norm; batchnorm axis; layernorm vs batchnorm; instance norm; group norm
batchnorm-trained: running mean; running variance; batchnorm train vs eval; eval mode; batchnorm inference;
    moving average batchnorm; batchnorm momentum
batchnorm-shards: ghost batches; ghost batch norm; shards; sync batchnorm; batchnorm threads
skip: skip connection; skip connections; residual connection; resnet backprop; resnet; shortcut connection;
    gradient through a residual block; identity shortcut gradient; backprop through skip connection
skip-add: why does a skip add; why add and not multiply; shapes of a skip differ; projection shortcut;
    downsample shortcut
dropout: dropout; inverted dropout; dropout scaling; dropout backward; why divide by 1 - p; dropout mask;
    keep probability
plus-or-minus: w += or w -=; +=; -=; w += rate; w -= lr * grad; plus or minus; plus or minus sign;
    add or subtract the gradient; why minus
update-during-pass: can I update weights during the backward pass; when to update the weights;
    update weights immediately; update before backprop; order of updates; weights during backward pass
sum-or-mean: minibatch; mini-batch; mini batches; batches; batch gradient sum or mean; learning rate; divide by N;
    batch size
scaling: normalize; normalise inputs; pixels 255; scale images; standardize; normalisation of the pixels; preprocessing
beyond-94-percent: 94%; 94 %; accuracy; mnist; better accuracy; cnn vs feed-forward; mlp or cnn; feedforward
does-not-learn: my network does not learn; loss stays at 2.3; accuracy stays at 10%; loss stuck at 2.303;
    network is not learning; loss does not decrease
initial-weights: how should i initialise weights zero or random; why not initialise weights with zero;
    Xavier He init; initial weights; weight initialization; kaiming; random weights
momentum: momentum / weight decay formula; momentum; weight decay; sgd with momentum; L2 regularization
numerical-check: how do i check my gradients numerically; finite differences; gradient check; gradient checking;
    numerical gradient; central difference; are my gradients right
"""
ASKED = {
    name: asked.split("; ")
    for name, asked in (line.split(": ", 1) for line in re.sub(r"\n {4}", " ", TYPED).strip().splitlines())
}


@pytest.mark.parametrize(("asked", "name"), [(asked, name) for name in ASKED for asked in ASKED[name]])
def test_the_question_meant_comes_first(asked: str, name: str) -> None:
    assert found(asked)[0].name == name


def test_every_question_is_asked_for_in_several_ways() -> None:
    assert [*ASKED] == [*questions()]
    assert min(map(len, ASKED.values())) >= 3


@pytest.mark.parametrize("name", questions())
def test_a_question_finds_itself(name: str) -> None:
    """By its name, its words as it stands, and by a name with a space for the hyphen."""
    for asked in (name, name.upper(), questions()[name].ask, questions()[name].heading):
        assert found(asked)[0].name == name
    assert name in [each.name for each in found(name.replace("-", " "))]


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("dense-loop", "dense-loop"),
        ("DENSE-LOOP", "dense-loop"),
        ("Sum = Sum + weights[k][j] * error[k]", "dense-loop"),
        ("reverse mode", "reverse-mode"),
        ("dynamic programming", "reverse-mode"),
        ("upsample", "upsample-formula"),
        ("vanishing gradients", "vanishing"),
        ("one-hot labels", "one-hot"),
        ("scale pixels", "scaling"),
        ("best explanation", "best-explanation"),
        ("fused", "fused-relu"),
        ("why store the position of the maximum", "max-position"),
        ("update weights during the pass", "update-during-pass"),
        ("sigmoid in my ReLU", "whose-derivative"),
        ("sum or mean and the rate", "sum-or-mean"),
        ("what is a derivative", "derivative"),
        ("left p - y", "softmax"),
        ("layer l - 1", "error-through-pooling"),
    ],
)
def test_words_that_say_enough_show_the_answer_itself(asked: str, name: str) -> None:
    assert [each.name for each in found(asked)] == [name]


def test_words_of_several_questions_find_all_of_them() -> None:
    assert {"max-position", "one-or-error", "overlap"} <= {each.name for each in found("max pooling")}


@pytest.mark.parametrize("first", ["batch norm backward pass formula ", ""])
@pytest.mark.parametrize("last", [" batch norm backward pass formula", ""])
def test_words_of_two_matters_find_both(first: str, last: str) -> None:
    names = [each.name for each in found(f"{first}skip connection in resnet backward{last}")]
    assert {"skip", *(["batchnorm"] if first or last else [])} <= {*names}


@pytest.mark.parametrize(
    "asked",
    ["how do i install cuda drivers on windows for the training", "recommend a good laptop please, for deep learning"],
)
def test_a_weak_match_is_no_answer(asked: str) -> None:
    """Most of the words are in no question at all: some questions are listed, and none is given as the answer."""
    fitting = found(asked)
    assert len(fitting) > 1
    assert not is_sure(asked, fitting[0])


@pytest.mark.parametrize(("asked", "name"), [(asked, name) for name in ASKED for asked in ASKED[name]])
def test_what_people_type_is_no_weak_match(asked: str, name: str) -> None:
    assert is_sure(asked, questions()[name])


def test_american_spelling_is_the_same_word() -> None:
    assert tokens("initialize, normalization, regularized") == tokens("initialise, normalisation, regularised")
    assert tokens("size") == ["siz"], "of a short word the z belongs to it"


@pytest.mark.parametrize("asked", ["xylophone", "", "   ", "\x1b[31m", "?!"])
def test_words_of_no_question_are_refused(asked: str) -> None:
    with pytest.raises(SettingError, match="plaingrad questions") as refused:
        found(asked)
    assert str(refused.value).count(",") == 0, "one line, and not the list of all names"
