"""The estimator keeps scikit-learn's contract, and what it says of weights, seeds and shapes beyond it."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is an extra")
pytest.importorskip("numba", reason="the estimator's checks train, which takes minutes without Numba")

from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.estimator_checks import parametrize_with_checks

import plaingrad as pg
from plaingrad import SGD, Conv, Dense, Dropout, Flatten, MaxPool, Network, PlaingradError
from plaingrad.sklearn import CNNClassifier

pytestmark = pytest.mark.filterwarnings("ignore::plaingrad.Notice")  # checks train on noise

DIGITS = load_digits()
X, Y = DIGITS.data[:300].astype("f4"), np.array([f"digit {each}" for each in DIGITS.target[:300]])
SMALL = [Flatten(), Dense(10)]
WEIGHTS = np.random.default_rng(0).uniform(0.1, 3, 300)


@parametrize_with_checks([CNNClassifier(threads=1)])
def test_scikit_learns_own_checks(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # else one of them is passed over
    check(estimator)


def small(**settings):
    return CNNClassifier(SMALL, **{"epochs": 2, "threads": 1} | settings)


def bits(model):
    return model.predict_proba(X).tobytes()


def test_digits_are_learned():
    """As the bundled model, whose accuracy tests/test_models.py holds, on the other half of images never seen."""
    model = CNNClassifier(epochs=8).fit(DIGITS.images[::2].astype("f4"), DIGITS.target[::2])
    assert model.score(DIGITS.images[1::2], DIGITS.target[1::2]) > 0.95
    assert model.shape_ == (1, 8, 8)
    assert model.n_iter_ == len(model.history_) == 8
    assert isinstance(model.network_, Network)


def test_it_trains_as_train_does():
    """The same network, images, settings and seed: the same bits."""
    model = small(random_state=5, optimiser="adam", batch=32).fit(X, Y)
    net = Network(*SMALL, input=(1, 8, 8), seed=model.network_.seed)
    labels = DIGITS.target[:300]
    recipe = pg.model("digits").recipe.settings() | {"epochs": 2, "batch": 32, "optimiser": "adam"}
    pg.train(net, X.reshape(-1, 1, 8, 8), labels, seed=net.seed, **recipe)
    assert net.parameters.tobytes() == model.network_.parameters.tobytes()


def test_the_same_bits_for_any_number_of_threads():
    found = {bits(CNNClassifier(epochs=1, threads=threads).fit(X, Y, WEIGHTS)) for threads in (1, 2, 3)}
    assert len(found) == 1


def test_another_seed_makes_another_network():
    assert bits(small(random_state=1).fit(X, Y)) == bits(small(random_state=1).fit(X, Y))
    assert bits(small(random_state=1).fit(X, Y)) != bits(small(random_state=2).fit(X, Y))
    assert bits(small(random_state=None).fit(X, Y)) != bits(small(random_state=None).fit(X, Y))


def test_an_image_of_weight_0_is_not_there():
    counted = np.arange(300) % 3 > 0
    assert bits(small().fit(X, Y, counted * WEIGHTS)) == bits(small().fit(X[counted], Y[counted], WEIGHTS[counted]))
    assert bits(small().fit(X, Y, WEIGHTS)) != bits(small().fit(X, Y))


def test_class_weights_are_weights_of_images():
    few = np.flatnonzero((Y != "digit 3") | (np.arange(300) < 60))
    x, y = X[few], Y[few]
    by_class = small(class_weight="balanced").fit(x, y)
    assert bits(by_class) == bits(small().fit(x, y, compute_sample_weight("balanced", y)))
    assert bits(by_class) != bits(small().fit(x, y))
    once = small(class_weight={"digit 3": 4.0}).fit(x, y, WEIGHTS[few])
    assert bits(once) == bits(small().fit(x, y, np.where(y == "digit 3", 4.0, 1.0) * WEIGHTS[few]))


def test_training_stops_where_nothing_gets_better():
    model = small(epochs=60, early_stopping=True, validation_fraction=0.2, patience=3).fit(X, Y)
    held = [entry["validation_accuracy"] for entry in model.history_]
    assert model.n_iter_ == len(held) < 60
    assert max(held[:-3]) >= max(held[-3:])


def test_partial_fit_is_one_epoch_more_from_where_the_network_stands():
    model = small().partial_fit(X[:150], Y[:150], classes=np.unique(Y))
    net = Network(*SMALL, input=(1, 8, 8), seed=model.network_.seed)
    settings = pg.model("digits").recipe.settings() | {"epochs": 1, "schedule": "constant"}
    for call, part in enumerate((slice(0, 150), slice(150, 300))):
        if call:
            model.partial_fit(X[part], Y[part], sample_weight=WEIGHTS[part])
        weights = WEIGHTS[part] if call else None
        data = pg.from_arrays(X[part].reshape(-1, 1, 8, 8), DIGITS.target[:300][part], 10, weights=weights)
        pg.train(net, data, seed=net.seed + call, **settings)
        assert model.network_.parameters.tobytes() == net.parameters.tobytes()
        assert model.n_iter_ == call + 1
        assert [entry["epoch"] for entry in model.history_] == [*range(1, call + 2)]
    assert bits(model.fit(X, Y)) == bits(small().fit(X, Y))


def test_it_can_be_kept_and_sent():
    """As numbers and JSON: nothing of the network's objects, machine code or threads is in what is sent."""
    model = CNNClassifier([Conv(2, size=3), MaxPool(2), Flatten(), Dropout(0.5), Dense(10)], epochs=1).fit(X, Y)
    state = model.__getstate__()["network_"]
    assert json.loads(json.dumps({name: state[name] for name in state if name != "arrays"}))
    assert {type(each) for each in state["arrays"].values()} == {np.ndarray}
    sent = pickle.dumps(model)
    assert len(sent) < 3 * model.network_.parameters.nbytes + 10_000
    again = pickle.loads(sent)
    assert bits(again) == bits(model)
    assert bits(again.partial_fit(X, Y)) == bits(model.partial_fit(X, Y))
    assert repr(clone(model)) == repr(model)


def test_pipelines_and_searches_take_it():
    search = GridSearchCV(
        make_pipeline(MinMaxScaler(), small()),
        {"cnnclassifier__optimiser": [SGD(rate=1e-6), SGD(rate=0.05)]},
        cv=2,
        n_jobs=2,
    ).fit(X, Y)
    assert search.best_params_ == {"cnnclassifier__optimiser": SGD(rate=0.05)}
    assert cross_val_score(small(), DIGITS.images[:300], Y, cv=2).shape == (2,)


def test_a_notebook_shows_it_as_any_estimator():
    html = small()._repr_html_()
    assert "CNNClassifier" in html
    assert "Not fitted" in html
    assert "Not fitted" not in small().fit(X, Y)._repr_html_()


def test_rows_are_padded_to_the_next_square():
    model = CNNClassifier(epochs=1).fit(X[:, :60], Y)
    padded = np.pad(X[:, :60], ((0, 0), (0, 4)))
    assert model.shape_ == (1, 8, 8)
    assert (
        model.predict_proba(X[:, :60]).tobytes()
        == CNNClassifier(epochs=1).fit(padded, Y).predict_proba(padded).tobytes()
    )


@pytest.mark.parametrize("shape", [(1, 8, 8), (8, 8), [4, 4, 4], (2, 32)])
def test_a_shape_is_taken(shape):
    model = small(shape=shape).fit(X, Y)
    assert model.shape_ == (1, *shape)[-3:]
    assert model.predict(X).shape == (300,)


def test_colour_images_say_their_shape():
    images = X.reshape(300, 4, 4, 4)
    model = small().fit(images, Y)
    assert model.shape_ == (4, 4, 4)
    assert model.predict_proba(images).tobytes() == bits(small(shape=(4, 4, 4)).fit(X, Y))


def test_a_model_comes_by_name_with_its_recipe():
    model = CNNClassifier("mlp", epochs=1).fit(X, Y)
    assert [each.name for each in model.network_] == [each.name for each in pg.model("mlp").network((1, 8, 8))]
    assert CNNClassifier("mlp").fit(X, Y).n_iter_ == pg.model("mlp").recipe.epochs
    assert CNNClassifier(SMALL).fit(X, Y).n_iter_ == pg.model("digits").recipe.epochs


@pytest.mark.parametrize(("kind", "computed"), [("f8", "f8"), ("f4", "f4"), ("u1", "f4"), ("i8", "f4")])
def test_it_computes_as_exactly_as_the_pixels_are(kind, computed):
    model = small().fit(X.astype(kind), Y)
    assert model.network_.dtype == computed
    assert bits(model) == bits(small().fit(X.astype(computed), Y))


def test_epochs_are_printed_where_asked(capsys):
    small(verbose=True).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith("epoch")] == ["epoch 1/2", "epoch 2/2"]
    small().fit(X, Y)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"shape": (1, 8, 9)}, r"rows of 64 pixels and shape=\(1, 8, 9\), which are 72"),
        ({"shape": 8}, r"shape=8; it needs \(channels, rows, columns\)"),
        ({"shape": (0, 8, 8)}, "shape=0; it needs a whole number of at least 1"),
        ({"layers": "lenet6"}, "there is no model 'lenet6'; did you mean"),
        ({"layers": "lenet5"}, "got"),
        ({"layers": 3}, "layers=3; it needs a list of layers, or one of"),
        (
            {"layers": [Flatten(), Dense(9)]},
            r"end in \(9,\) for an image, and y has 10 classes; end them in Dense\(10\)",
        ),
        ({"layers": [Flatten(), "dense"]}, "made of layers, got 'dense'"),
        ({"optimiser": "adagrad"}, "optimiser='adagrad'"),
        ({"epochs": 0}, "epochs=0"),
        ({"batch": -1}, "batch=-1"),
        ({"threads": 0}, "threads=0"),
        ({"early_stopping": True, "patience": 0}, "patience=0"),
        ({"early_stopping": True, "validation_fraction": 2.0}, "between 0 and 1"),
        (
            {"early_stopping": True, "validation_fraction": 1},
            "validation_fraction=1; it needs a number between 0 and 1",
        ),
        ({"verbose": "loud"}, "progress='loud'"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_line(settings, says):
    with pytest.raises(PlaingradError, match=says) as told:
        CNNClassifier(**{"layers": SMALL} | settings).fit(X, Y)
    assert "\n" not in str(told.value)


def test_weights_and_classes_that_cannot_be_are_refused_in_one_line():
    with pytest.raises(PlaingradError, match="weights that are all 0"):
        small(class_weight=dict.fromkeys(Y, 0)).fit(X, Y)
    for weight in (-1.0, np.nan, np.inf):
        with pytest.raises(PlaingradError, match=r"class_weight=.* numbers of at least 0"):
            small(class_weight={Y[0]: weight}).fit(X, Y)
    with pytest.raises(ValueError, match="Negative values"):
        small().fit(X, Y, -np.ones(300))
    with pytest.raises(PlaingradError, match="first call needs all that will ever come"):
        small().partial_fit(X, Y)
    with pytest.raises(PlaingradError, match="the class 'digit 1', which is none of"):
        small().partial_fit(X, Y, classes=["digit 0", *SMALL_NAMES])
    with pytest.raises(PlaingradError, match="other classes than at first"):
        small().fit(X, Y).partial_fit(X, Y, classes=["cat", "dog"])
    with pytest.raises(PlaingradError, match="give a dict of weights"):
        small(class_weight="balanced").partial_fit(X, Y, classes=np.unique(Y))


def test_what_fails_changes_nothing_that_was_fitted():
    model = small().fit(X, Y)
    before = bits(model)
    for failing in (small(optimiser=SGD(rate=1e38)), small(epochs=0)):
        with pytest.raises(NotFittedError):
            failing.predict(X)
        with pytest.raises(PlaingradError):
            failing.fit(X, Y)
        with pytest.raises(NotFittedError):
            failing.predict(X)
        with pytest.raises(PlaingradError):
            model.set_params(**failing.get_params()).fit(X, DIGITS.target[:300])
        assert bits(model) == before
        assert model.predict(X[:1])[0].startswith("digit")


SMALL_NAMES = [f"something {each}" for each in range(9)]


def test_without_scikit_learn_one_line_says_what_to_install():
    code = "import sys; sys.modules['sklearn'] = None\ntry: import plaingrad.sklearn\nexcept ImportError as e: print(e)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "plaingrad.sklearn needs scikit-learn, which is not installed: pip install 'plaingrad[sklearn]'\n"
    )
