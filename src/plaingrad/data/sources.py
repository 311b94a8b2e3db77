"""Where MNIST and Fashion-MNIST come from, fetching them, and finding data by name."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from plaingrad.compiler.store import user_cache
from plaingrad.data.bundled import digits
from plaingrad.data.dataset import Split
from plaingrad.data.folder import image_folder
from plaingrad.data.idx import idx_files, idx_split
from plaingrad.errors import DataError, SettingError, nearest

if TYPE_CHECKING:  # imported where it is needed: see there
    from plaingrad.data.mirrors import Progress


@dataclass(frozen=True)
class Source:
    """Files with the SHA-256 of each, the addresses that hold them, and the names of the classes."""

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
}


def load(name: str | Path, folder: str | Path | None = None) -> Split:
    """Data by name ("digits", "mnist", "fashion-mnist"), or the path of a folder of IDX files or of images.

    `folder` says where the IDX files of a name are. A name goes before a folder of that name: write ./mnist for it.
    """
    name = str(name)
    if name in SOURCES:
        return _read(name, folder)
    if folder is not None:
        raise SettingError(f"{name}: a folder, {folder}, can be given with {' or '.join(SOURCES)} only; leave it out")
    if name == "digits":
        return digits()
    if name.endswith(".safetensors"):
        raise SettingError(f"{name} is a checkpoint, not data; write plaingrad.training.checkpoint.load({name!r})")
    if not os.path.exists(name):
        raise SettingError(f"no data named {name!r}; {nearest(name, ('digits', *SOURCES))}, or the path of a folder")
    if os.path.isdir(name) and any(idx_files(name)):
        return idx_split(name, Path(name).resolve().name)
    return image_folder(name)


def mnist(folder: str | Path | None = None) -> Split:
    """MNIST, 60,000 and 10,000 digits of (1, 28, 28) uint8, from `folder` or where `download` puts it by default."""
    return _read("mnist", folder)


def fashion_mnist(folder: str | Path | None = None) -> Split:
    """Fashion-MNIST, 60,000 and 10,000 pieces of clothing of (1, 28, 28) uint8; from the same places as MNIST."""
    return _read("fashion-mnist", folder)


def _read(name: str, folder: str | Path | None) -> Split:
    return idx_split(default_folder(name) if folder is None else folder, name, SOURCES[name].classes)


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
    """Fetch the files of "mnist" or "fashion-mnist" into `folder` (its default: `default_folder`), which is returned.

    A file already there with the right SHA-256 is left alone; one with another is replaced. A transfer that was cut
    off continues where it stopped. `progress` is told the file, its bytes so far, and all its bytes (None if the
    mirror does not say). DataError, with what each mirror answered, when no mirror gives a right file.
    """
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
