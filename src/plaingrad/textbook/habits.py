"""What people who know other libraries write, in one table: each name, and what it is called here."""

from collections.abc import Collection
from typing import Any, NoReturn

from plaingrad.errors import SettingError, nearest

KEYWORDS: dict[str, tuple[str, ...]] = {
    "class_weights": ("class_weight", "weight", "weights"),
    "label_smoothing": ("smoothing",),
    "ignore": ("ignore_index", "ignore_label", "ignore_class"),
    "rate": ("lr", "learning_rate", "learning_rate_init", "eta", "eta0", "alpha", "step_size"),
    "lowest": ("start_lr", "min_lr", "init_value", "start_rate"),
    "highest": ("end_lr", "max_lr", "final_value", "end_rate"),
    "steps": ("num_it", "num_iter", "num_training"),
    "decay": ("weight_decay", "l2", "weight_penalty", "l2_penalty"),
    "beta1": ("beta_1", "b1", "betas"),
    "beta2": ("beta_2", "b2"),
    "epsilon": ("eps",),
    "momentum": ("mom",),
    "optimiser": ("optimizer", "solver", "opt", "algorithm"),
    "schedule": ("scheduler", "lr_scheduler", "lr_schedule", "learning_rate_schedule"),
    "loss": ("criterion", "loss_fn", "loss_function", "objective"),
    "epochs": ("num_epochs", "n_epochs", "nb_epoch", "nepochs", "max_iter", "max_epochs", "iterations", "n_iter"),
    "batch": ("batch_size", "batchsize", "minibatch", "mini_batch_size", "bs"),
    "validation": ("validation_split", "validation_data", "validation_fraction", "val", "valid", "eval_set"),
    "patience": ("early_stopping", "n_iter_no_change"),
    "augment": ("augmentation", "augmentations", "transform", "transforms", "preprocessing"),
    "clip": ("clipnorm", "clip_norm", "max_norm", "max_grad_norm", "grad_clip", "gradient_clip_val", "global_clipnorm"),
    "average": ("ema", "ema_decay", "use_ema", "ema_momentum", "averaging"),
    "flip": ("horizontal_flip", "hflip", "fliplr"),
    "shift": ("random_crop", "crop", "translate"),
    "watch": ("callbacks", "callback"),
    "progress": ("verbose", "verbosity", "progress_bar", "show_progress"),
    "seed": ("random_state", "rng", "random_seed"),
    "threads": ("workers", "n_jobs", "num_threads", "num_workers", "n_threads"),
    "out": ("save_dir", "log_dir", "model_dir", "checkpoint_dir", "output_dir"),
    "size": ("kernel_size", "pool_size", "filter_size", "kernel", "kernel_shape", "window", "window_size", "k"),
    "stride": ("strides",),
    "padding": ("pad",),
    "dilation": ("dilation_rate",),
    "filters": ("out_channels", "n_filters", "num_filters", "channels", "nb_filter"),
    "units": ("out_features", "n_units", "num_units", "output_dim", "neurons", "n_out"),
    "bias": ("use_bias", "fit_intercept"),
    "start": ("kernel_initializer", "initializer", "weight_init", "init"),
    "activation": ("act", "nonlinearity", "activation_fn"),
    "slope": ("negative_slope", "leak"),
    "input": ("input_shape", "input_size", "in_shape", "image_size"),
    "name": ("title", "label"),
    "dtype": ("data_type", "precision"),
}
OURS = {theirs: ours for ours, names in KEYWORDS.items() for theirs in names}
FOLLOW = ("in_channels", "in_features", "input_dim", "n_in")
LOSS = ("class_weights", "label_smoothing", "ignore")
OPTIMISER = ("rate", "momentum", "nesterov", "decay", "beta1", "beta2", "epsilon")

NAMES: dict[str, str] = {
    "Sequential": "Network(layer, layer, …, input=(channels, rows, columns))",
    "Model": "Network(layer, layer, …, input=(channels, rows, columns)), or model(name) for a built-in one",
    "Module": "Layer, for a layer of your own",
    **dict.fromkeys(("Conv2d", "Conv2D", "Convolution2D", "Convolution"), "Conv(filters, size=3)"),
    **dict.fromkeys(("Linear", "FullyConnected", "InnerProduct"), "Dense(units)"),
    **dict.fromkeys(("MaxPool2d", "MaxPool2D", "MaxPooling2D"), "MaxPool(2)"),
    **dict.fromkeys(("AvgPool2d", "AveragePooling2D", "AvgPool", "AveragePool"), "MeanPool(2)"),
    **dict.fromkeys(("relu", "Relu"), "ReLU()"),
    **dict.fromkeys(("CrossEntropyLoss", "SparseCategoricalCrossentropy"), "SoftmaxCrossEntropy()"),
    **dict.fromkeys(("MSELoss", "MSE", "MeanSquaredLoss"), "MeanSquaredError()"),
    **dict.fromkeys(("DataLoader", "TensorDataset"), "from_arrays(images, labels); train(…, batch=64) cuts it"),
    **dict.fromkeys(("optim", "optimizers"), "SGD(rate=…), Adam(…) or AdamW(…)"),
    **dict.fromkeys(("nn", "layers"), "the layers' own names: Conv, Dense, MaxPool, ReLU, …"),
    **dict.fromkeys(("fit", "compile"), "train(net, data, optimiser, epochs=5)"),
    **dict.fromkeys(
        ("classification_report", "confusion_matrix", "precision_recall_fscore_support", "f1_score", "metrics"),
        "evaluate(net, data), which has precision, recall and F1 of each class, and what is confused",
    ),
    **dict.fromkeys(("lr_find", "lr_finder", "LRFinder", "lr_range_test"), "find_rate(net, data, optimiser)"),
    **dict.fromkeys(("accuracy", "accuracy_score"), "score(net, data)"),
    **dict.fromkeys(("set_seed", "manual_seed"), "Network(…, seed=0) and train(…, seed=0)"),
    **dict.fromkeys(("save", "save_model"), "plaingrad.checkpoint.save(path, net)"),
    **dict.fromkeys(("load_model", "restore"), "checkpoint.load(path)"),
    **dict.fromkeys(("Tensor", "tensor", "array", "Variable"), "an array of NumPy"),
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d", "BatchNormalization"), "BatchNorm()"),
    **dict.fromkeys(("Dropout1d", "Dropout2d"), "Dropout(0.5), which drops each number by itself"),
    **dict.fromkeys(("LayerNorm", "InstanceNorm2d"), "GroupNorm(1); with a group for each channel it is instance norm"),
    **dict.fromkeys(
        ("GlobalAveragePooling2D", "AdaptiveAvgPool2d"), "GlobalMeanPool(), the mean of each whole channel"
    ),
    **dict.fromkeys(("Swish", "swish"), "SiLU()"),
    **dict.fromkeys(("LSTM", "Embedding"), "Layer, for a layer of your own: this one is not here"),
    "seed": "Network(…, seed=0) and train(…, seed=0)",
    "no_grad": "predict(net, images) or Inference(net), which make no gradients",
}
METHODS: dict[str, str] = {
    **dict.fromkeys(("fit", "compile", "train"), "plaingrad.train(net, data, optimiser, epochs=5)"),
    **dict.fromkeys(("predict", "predict_proba"), "plaingrad.predict(net, images)"),
    "evaluate": "plaingrad.evaluate(net, data)",
    "score": "plaingrad.score(net, data)",
    **dict.fromkeys(("forward", "apply"), "net(images), or net.run(images) to keep every array"),
    **dict.fromkeys(
        ("backward", "gradients", "grad", "zero_grad"), "net.run(images, labels), which has every gradient"
    ),
    **dict.fromkeys(("save", "save_weights"), "plaingrad.checkpoint.save(path, net)"),
    **dict.fromkeys(("load", "load_weights", "load_state_dict"), "plaingrad.training.checkpoint.load(path)"),
    **dict.fromkeys(("weights", "get_weights", "state_dict", "named_parameters"), "net.arrays"),
    **dict.fromkeys(("num_params", "count_params"), "net.size"),
    **dict.fromkeys(("eval", "to", "cuda", "cpu"), "nothing: a network is always ready, on the processor"),
    "explain": "net.run(images, labels).explain()",
}


def refuse(who: str, given: dict[str, Any], known: Collection[str]) -> None:
    """SettingError where a keyword is not known: what it is called here, or the nearest name."""
    for name, value in given.items():
        text, ours = " ".join(repr(value).split())[:40], OURS.get(name, name)
        got = f"{who} got {name}={text}"
        if ours in known:
            raise SettingError(f"{got}; here it is called {ours}: write {ours}=…")
        if name in FOLLOW:
            raise SettingError(f"{got}; that follows from the layer before: leave it out")
        if ours in OPTIMISER and "optimiser" in known:
            raise SettingError(f"{got}; that is the optimiser's: write optimiser=SGD({ours}=…), or Adam({ours}=…)")
        if ours in LOSS and "loss" in known:
            raise SettingError(f"{got}; that is the loss's: write loss=WeightedCrossEntropy({ours}=…)")
        raise SettingError(f"{got}, which it does not have; {nearest(ours, known)}")


def missing(who: str, name: str, table: dict[str, str]) -> NoReturn:
    """AttributeError for a name that is not there: what to write instead, where the table knows."""
    instead = f"; write {table[name]}" if name in table else ""
    raise AttributeError(f"{who} has no {name!r}{instead}")
