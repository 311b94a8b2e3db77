"""A classifier with scikit-learn's manners: in pipelines, cross-validation and searches."""

from typing import Any, Self

import numpy as np

from plaingrad.compiler.loops import Array
from plaingrad.data import Dataset
from plaingrad.data.pixels import Seen
from plaingrad.errors import MissingError, SettingError, ShapeError, is_number, require_whole
from plaingrad.network.augment import Augment
from plaingrad.network.models import MODELS, Model, model
from plaingrad.network.network import Network
from plaingrad.textbook.layer import Layer, Shape
from plaingrad.textbook.layers import Conv, Dense, Flatten, MaxPool, ReLU
from plaingrad.textbook.optimisers import Constant, Optimiser, Schedule
from plaingrad.training.checkpoint import arrays_of, restore
from plaingrad.training.history import History
from plaingrad.training.inference import predict
from plaingrad.training.trainer import Trainer

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state, compute_class_weight
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError:
    raise MissingError("plaingrad.sklearn", "scikit-learn", "sklearn") from None

MOST_SEED = 1 << 31
MOST_TOLD = 10  # classes in a message
POOLED_FROM = 2  # rows: one row has no window of two


class CNNClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A convolutional network that `fit(X, y)` trains on rows of pixels, one image a row: (image, pixel).

    shape: (channels, rows, columns) or (rows, columns) of the image in a row. Without it, it is the next square, its
    last pixels zeros; X of images (image, row, column) or (image, channel, row, column) says it by itself.
    layers: the name of a built-in model, or all layers in a list, whose last gives one score for each class. Without
    it, two convolutions, a pool and two dense layers.
    optimiser, schedule, augment, epochs, batch: as `plaingrad.train` takes them; what is None is that model's own.
    class_weight: as scikit-learn has it: None, "balanced", or a dict from class to weight.
    early_stopping: hold back the share `validation_fraction` of the images, stop after `patience` epochs without a
    better accuracy on those, and keep the best epoch's network.
    random_state: a whole number gives the same bits each time, whatever `threads` is; None draws another seed.
    threads: as many as there are processors where it is None; 1 where a search runs several fits at once.
    verbose: whether a line is printed for each epoch.

    After `fit`: `classes_`, `n_features_in_`, `shape_`, `network_` (a `plaingrad.Network`), `history_` (an entry an
    epoch), `n_iter_` (epochs done). The network computes in float64 where X is float64, in float32 else.
    """

    def __init__(
        self,
        layers: str | list[Layer] | None = None,
        *,
        shape: tuple[int, ...] | None = None,
        optimiser: Optimiser | str | None = None,
        schedule: Schedule | str | None = None,
        augment: Augment | str | None = None,
        epochs: int | None = None,
        batch: int | None = None,
        class_weight: dict[Any, float] | str | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 5,
        random_state: int | np.random.RandomState | None = 0,
        threads: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.layers = layers
        self.shape = shape
        self.optimiser = optimiser
        self.schedule = schedule
        self.augment = augment
        self.epochs = epochs
        self.batch = batch
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.random_state = random_state
        self.threads = threads
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Train a new network on images X (image, pixel) of classes y (image).

        sample_weight: how much each image counts (image): one of weight 2 as it would twice, one of weight 0 not at
        all.
        """
        X, y = self._checked(X, y, reset=True)  # noqa: N806
        classes = np.unique(y)
        net = self._network(X.dtype, classes)
        held = self._held() if self.early_stopping else {}
        history = self._train(net, classes, X, y, sample_weight, **self._settings(), **held)
        self.classes_, self.network_, self.history_, self.n_iter_ = classes, net, history, len(history)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:  # noqa: N803
        """One epoch more, on these images, from where the network stands, at the optimiser's own rate.

        Each call begins with an optimiser that remembers nothing. The first call begins a new network, by whose images
        pixels are standardised for all later ones, and needs `classes`: all that will ever come.
        """
        is_new = not hasattr(self, "network_")
        if self.class_weight == "balanced":
            raise SettingError(
                "partial_fit got class_weight='balanced', which needs all images; give a dict of weights"
            )
        X, y = self._checked(X, y, reset=is_new)  # noqa: N806
        if is_new:
            if classes is None:
                raise SettingError("partial_fit got no classes; its first call needs all that will ever come")
            known = np.unique(classes)
            net, history = self._network(X.dtype, known), History()
        else:
            known, net, history = self.classes_, self.network_, self.history_
            if classes is not None and not np.array_equal(known, np.unique(classes)):
                raise SettingError(f"partial_fit got other classes than at first, {told(known)}; leave them out")
        settings = self._settings() | {"epochs": 1, "schedule": Constant()}
        (entry,) = self._train(net, known, X, y, sample_weight, call=len(history), **settings)
        history = History([*history, entry | {"epoch": len(history) + 1}])
        self.classes_, self.network_, self.history_, self.n_iter_ = known, net, history, len(history)
        return self

    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """The probability of each class of `classes_` for each image, (image, class)."""
        check_is_fitted(self, "network_")
        X = validate_data(self, _flat(X)[0], dtype=[np.float32, np.float64], reset=False)  # noqa: N806
        return predict(self.network_, self._images(X), self.threads)

    def predict(self, X: Any) -> Array:  # noqa: N803
        """The class of each image (image)."""
        best = self.predict_proba(X).argmax(axis=1)
        chosen: Array = self.classes_[best]
        return chosen

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[Array, Array]:  # noqa: N803
        """Rows of pixels and classes, as scikit-learn checks them."""
        rows, own = _flat(X)
        X, y = validate_data(self, rows, y, dtype=[np.float32, np.float64], reset=reset)  # noqa: N806
        check_classification_targets(y)
        if reset:
            self.shape_ = self._shape(own)
        return X, y

    def _settings(self) -> dict[str, Any]:
        """How to train: what is not told is the model's own."""
        recipe = self._model().recipe_for(self.shape_).settings()
        return {name: usual if getattr(self, name) is None else getattr(self, name) for name, usual in recipe.items()}

    def _held(self) -> dict[str, Any]:
        share = self.validation_fraction
        if not is_number(share) or not 0 < share < 1:
            raise SettingError(f"CNNClassifier got validation_fraction={share!r}; it needs a number between 0 and 1")
        return {"validation": float(share), "patience": self.patience}

    def _shape(self, own: tuple[int, ...] | None) -> Shape:
        """Of the image in a row: what is told, what X said itself, or the next square."""
        if self.shape is None and own is None:
            side = int(np.ceil(np.sqrt(self.n_features_in_)))
            return 1, side, side
        told = own if self.shape is None else self.shape
        if not isinstance(told, tuple | list) or len(told) not in (2, 3):
            raise SettingError(
                f"CNNClassifier got shape={told!r}; it needs (channels, rows, columns) or (rows, columns)"
            )
        sizes = tuple(require_whole("CNNClassifier", "shape", each, 1) for each in (1, *told)[-3:])
        if np.prod(sizes) != self.n_features_in_:
            raise ShapeError(
                f"CNNClassifier got rows of {self.n_features_in_} pixels and shape={told}, which are "
                f"{int(np.prod(sizes))}; give the shape of the images, or shape=None for the next square"
            )
        return sizes

    def _model(self) -> Model:
        """The layers as a model, with the recipe that it trains well with."""
        if isinstance(self.layers, str):
            return model(self.layers)
        own = self._small if self.layers is None else lambda classes: list(self.layers)
        if self.layers is not None and not isinstance(self.layers, list | tuple):
            raise SettingError(
                f"CNNClassifier got layers={self.layers!r}; it needs a list of layers, or one of {', '.join(MODELS)}"
            )
        return Model("network", "", own, self.shape_, MODELS["digits"].recipe)

    def _small(self, classes: int) -> list[Layer]:
        pools = [MaxPool(2)] if min(self.shape_[1:]) >= POOLED_FROM else []
        convolutions = [Conv(filters, size=3, padding=1, activation=ReLU()) for filters in (16, 32)]
        return [*convolutions, *pools, Flatten(), Dense(64, activation=ReLU()), Dense(classes)]

    def _network(self, dtype: Any, classes: Array) -> Network:
        """A new network for these classes."""
        count = len(classes)
        self._seed = int(check_random_state(self.random_state).randint(MOST_SEED))
        net = self._model().network(self.shape_, count, self._seed, dtype)
        if net.output != (count,):
            raise ShapeError(
                f"CNNClassifier got layers that end in {net.output} for an image, and y has {count} classes; "
                f"end them in Dense({count})"
            )
        return net

    def _train(
        self,
        net: Network,
        classes: Array,
        X: Array,  # noqa: N803
        y: Array,
        sample_weight: Any,
        call: int = 0,
        **settings: Any,
    ) -> History:
        """Train on images with weights; those of weight 0 are left out."""
        known = np.isin(y, classes)
        if not known.all():
            raise SettingError(f"partial_fit got the class {str(y[~known][0])!r}, which is none of {told(classes)}")
        labels, weights = np.searchsorted(classes, y), None
        if sample_weight is not None or self.class_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            with np.errstate(divide="ignore", invalid="ignore"):  # balanced, where no image of a class counts
                own = compute_class_weight(self.class_weight, classes=classes, y=y, sample_weight=weights)
            own[~np.isin(classes, y[weights > 0])] = 0
            if not (np.isfinite(own).all() and (own >= 0).all()):
                raise SettingError(
                    f"CNNClassifier got class_weight={self.class_weight!r}; it needs numbers of at least 0"
                )
            weights = weights * own[labels]
            counted = weights > 0
            if not counted.any():
                raise SettingError("CNNClassifier got weights that are all 0; it needs an image that counts")
            X, labels, weights = X[counted], labels[counted], weights[counted]  # noqa: N806
        data = Dataset(self._images(X), labels, tuple(map(str, range(len(classes)))), "X", weights)
        settings |= {"seed": self._seed + call, "threads": self.threads, "progress": self.verbose}
        return Trainer(net, data, **settings).train()

    def _images(self, rows: Array) -> Array:
        """Images (image, channel, row, column) of rows of pixels, the last ones zeros where there are too few."""
        more = int(np.prod(self.shape_)) - rows.shape[1]
        return np.pad(rows, ((0, 0), (0, more))).reshape(-1, *self.shape_) if more else rows.reshape(-1, *self.shape_)

    def __getstate__(self) -> dict[str, Any]:
        """All that is kept, the network as its layers in JSON and its arrays: machine code is this process's."""
        state: dict[str, Any] = dict(super().__getstate__())
        if "network_" in state:
            state["network_"] = _as_arrays(state["network_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state | ({"network_": _as_network(state["network_"])} if "network_" in state else {}))


def told(classes: Array) -> str:
    """Classes in words, the first of them where they are many."""
    more = f" and {len(classes) - MOST_TOLD} more" if len(classes) > MOST_TOLD else ""
    return ", ".join(map(str, classes[:MOST_TOLD])) + more


def _flat(X: Any) -> tuple[Any, tuple[int, ...] | None]:  # noqa: N803
    """Rows of pixels, and the shape of an image where X says it."""
    if isinstance(X, np.ndarray) and X.ndim in (3, 4) and X.size:
        return X.reshape(len(X), -1), X.shape[1:]
    return X, None


def _as_arrays(net: Network) -> dict[str, Any]:
    return {
        "network": net.to_json(),
        "seed": net.seed,
        "seen": net.seen.to_json() if net.seen else None,
        "arrays": {name: np.array(array) for name, array in arrays_of(net).items()},
    }


def _as_network(state: dict[str, Any]) -> Network:
    arrays = state["arrays"]
    net = Network.from_json(state["network"], state["seed"], arrays["input.offset"].dtype)
    restore(net, arrays, "this estimator")
    net.seen = Seen.from_json(state["seen"]) if state["seen"] else None
    return net
