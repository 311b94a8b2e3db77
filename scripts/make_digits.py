"""Make the bundled digits from scikit-learn's copy of them, or --check that they are what this would make.

    python scripts/make_digits.py [--check]

Needs scikit-learn. The order is the one scikit-learn gives, which is the order of the UCI file.
"""

import argparse
import gzip
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from plaingrad.data.bundled import FOLDER
from plaingrad.data.idx import write_idx


def make(folder: Path) -> list[str]:
    """Write both files into `folder` and return their names."""
    bunch = load_digits()
    images = bunch.images.astype(np.uint8)
    if not np.array_equal(images, bunch.images):  # a value that is not whole would be cut off in silence
        sys.exit("make_digits: scikit-learn's digits are not whole numbers of 0..255")
    write_idx(folder / "images-idx3-ubyte.gz", images)
    write_idx(folder / "labels-idx1-ubyte.gz", bunch.target.astype(np.uint8))
    return ["images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the bundled digits from scikit-learn's copy.")
    parser.add_argument("--check", action="store_true", help="write nothing; compare the files with what would be made")
    if not parser.parse_args().check:
        make(FOLDER)
        return
    with tempfile.TemporaryDirectory() as folder:
        # The content is compared, not the packing: another zlib may pack the same bytes differently.
        for name in make(Path(folder)):
            made, kept = Path(folder, name), FOLDER / name
            if not kept.exists() or gzip.decompress(made.read_bytes()) != gzip.decompress(kept.read_bytes()):
                sys.exit(f"make_digits: {kept} is not what scikit-learn's digits give; run without --check")


if __name__ == "__main__":
    main()
