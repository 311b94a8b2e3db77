"""Images and labels: the bundled digits, MNIST and Fashion-MNIST, folders of images, and your own arrays."""

from plaingrad.data.bundled import digits
from plaingrad.data.dataset import Dataset, Split, from_arrays
from plaingrad.data.folder import image_folder, read_image
from plaingrad.data.idx import read_idx
from plaingrad.data.sources import download, fashion_mnist, load, mnist

__all__ = [
    "Dataset",
    "Split",
    "digits",
    "download",
    "fashion_mnist",
    "from_arrays",
    "image_folder",
    "load",
    "mnist",
    "read_idx",
    "read_image",
]
