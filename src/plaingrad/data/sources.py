"""Where MNIST, Fashion-MNIST and CIFAR-10 come from, fetching them, and finding data by name."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from plaingrad.compiler.store import user_cache
from plaingrad.data.bundled import digits
from plaingrad.data.cifar import CLASSES
from plaingrad.data.dataset import Split
from plaingrad.data.formats import found_at
from plaingrad.data.idx import idx_split
from plaingrad.data.layout import shape_told
from plaingrad.errors import DataError, SettingError, nearest, require_path

if TYPE_CHECKING:  # imported where it is needed: see there
    from plaingrad.data.mirrors import Progress


@dataclass(frozen=True)
class Source:
    """Files with the SHA-256 of each, the addresses that hold them, and the names of the classes.

    One file is an archive, which is read as it is; several are IDX files.
    """

    files: Mapping[str, str]
    mirrors: tuple[str, ...]
    classes: tuple[str, ...]


SOURCES = {
    "mnist": Source(
        files={
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
        # The hash guards the files, so that an address without TLS will do as the last resort.
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ),
        classes=tuple("0123456789"),
    ),
    "fashion-mnist": Source(
        # Zalando published the MD5 of these files; these are the SHA-256 of the same files. Another set of
        # SHA-256 in circulation (train images 08dc20ab...) belongs to other files.
        files={
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
        mirrors=(
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
    ),
    "cifar10": Source(
        files={"cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
        mirrors=("https://www.cs.toronto.edu/~kriz/", "http://www.cs.toronto.edu/~kriz/"),
        classes=CLASSES,
    ),
}
ALIASES = {"cifar-10": "cifar10", "fashion_mnist": "fashion-mnist", "fmnist": "fashion-mnist"}
NAMES = ("digits", *SOURCES)


def load(
    name: str | Path,
    folder: str | Path | None = None,
    *,
    label: str | None = None,
    shape: str | tuple[int, ...] | None = None,
) -> Split:
    """Data by name ("digits", "mnist", "fashion-mnist", "cifar10"), or by the path of a file or a folder.

    Files of CSV, NPY, NPZ, MAT, IDX and CIFAR's binary files are read, folders of them, and folders of images in class
    folders. Where no part of them is called test, a fifth of each class is held back as such.

    folder: where the files of a name are. A name goes before a folder of that name: write ./mnist for it.
    label: where a table has its labels: "first", "last" or "none", or a heading; of CIFAR-100 "fine" or "coarse".
    shape: that of an image, where a file does not tell: "28x28", "3x32x32", or "32x32x3" for channels last; images in
    class folders are made so.
    SettingError for a name that is none; DataError, in one line, for data that cannot be used.
    """
    name = ALIASES.get(str(name), str(name))
    told = shape_told(shape)
    if name in NAMES:
        if label is not None or told is not None:
            raise SettingError(f"{name}: its labels and the shape of its images are known; leave label and shape out")
        return digits() if name == "digits" and folder is None else _read(name, folder)
    if folder is not None:
        raise _no_folder(name, folder)
    if name.endswith(".safetensors"):
        raise SettingError(f"{name} is a checkpoint, not data; write plaingrad.training.checkpoint.load({name!r})")
    if not os.path.exists(name):
        raise SettingError(f"no data named {name!r}; {nearest(name, NAMES)}, or the path of a file or a folder")
    return found_at(Path(name), label, told).split(Path(name).resolve().name)


def mnist(folder: str | Path | None = None) -> Split:
    """MNIST, 60,000 and 10,000 digits of (1, 28, 28) uint8, from `folder` or where `download` puts it by default."""
    return _read("mnist", folder)


def fashion_mnist(folder: str | Path | None = None) -> Split:
    """Fashion-MNIST, 60,000 and 10,000 pieces of clothing of (1, 28, 28) uint8; from the same places as MNIST."""
    return _read("fashion-mnist", folder)


def _no_folder(name: str, folder: str | Path) -> SettingError:
    return SettingError(f"{name}: a folder, {folder}, can be given with {' or '.join(SOURCES)} only; leave it out")


def _read(name: str, folder: str | Path | None) -> Split:
    if name not in SOURCES:
        raise _no_folder(name, folder or "")
    place, source = require_path(name, default_folder(name) if folder is None else folder), SOURCES[name]
    if len(source.files) > 1:
        return idx_split(place, name, source.classes)
    (file,) = source.files
    if not place.is_dir() or not any(place.iterdir()):
        raise DataError(
            f"{name}: {place} lacks {file}; fetch it with `plaingrad data get {name}`, "
            "or say where it is with --data-dir"
        )
    return found_at(place / file if (place / file).is_file() else place).split(name)


def default_folder(name: str) -> Path:
    """The user's cache folder for this data, whether it is there or not."""
    cache = user_cache()
    if cache is None:
        raise DataError(
            f"{name}: there is no home folder to keep it in; name a folder (--data-dir, or --to of data get)"
        )
    return cache / name


def download(
    name: str,
    folder: str | Path | None = None,
    progress: "Progress | None" = None,
    mirrors: Sequence[str] | None = None,
) -> Path:
    """Fetch the files of a set with a name into `folder` (its default: `default_folder`), which is returned.

    A file already there with the right SHA-256 is left alone; one with another is replaced. A transfer that was cut
    off continues where it stopped. `progress` is told the file, its bytes so far, and all its bytes (None if the
    mirror does not say). DataError, with what each mirror answered, when no mirror gives a right file.
    """
    name = ALIASES.get(name, name)
    if name not in SOURCES:
        raise SettingError(f"download: no data named {name!r}; {nearest(str(name), SOURCES)}")
    source = SOURCES[name]
    places = source.mirrors if mirrors is None else tuple(mirrors)
    for mirror in places:
        if not mirror.startswith(("http://", "https://")):
            raise SettingError(f"download: mirror {mirror!r} needs to start with http:// or https://")
    folder = default_folder(name) if folder is None else Path(folder)
    from plaingrad.data.mirrors import fetch, is_right

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, digest in source.files.items():
            if not is_right(folder / file, digest):
                fetch(folder / file, digest, places, progress)
    except OSError as error:  # the mirrors' own errors end in `fetch`: this one is of the disk
        raise DataError(
            f"{name}: cannot write to {folder}: {error.strerror or error}; make room, or choose another"
        ) from None
    return folder
