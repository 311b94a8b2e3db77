"""Images and labels: the bundled digits, known sets, files as people have them, folders of images, and arrays."""

from plaingrad.data.bundled import digits
from plaingrad.data.dataset import Dataset, Split, from_arrays
from plaingrad.data.description import Description
from plaingrad.data.folder import image_folder
from plaingrad.data.idx import read_idx
from plaingrad.data.images import prepared_image, read_image
from plaingrad.data.sources import download, fashion_mnist, load, mnist

__all__ = [
    "Dataset",
    "Description",
    "Split",
    "digits",
    "download",
    "fashion_mnist",
    "from_arrays",
    "image_folder",
    "load",
    "mnist",
    "prepared_image",
    "read_idx",
    "read_image",
]
