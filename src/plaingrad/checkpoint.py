"""Checkpoints: safetensors files with named arrays and, as their metadata, the network and what else a run needs.

A file is written under a temporary name, flushed, read back and compared, and only then takes its place: at any moment
there is the old file or the new one. A broken, truncated or foreign file gives one clear error.
"""

import hashlib
import json
import os
import pathlib
import tempfile
from typing import Any

import numpy as np

from plaingrad.errors import CheckpointError, PlaingradError
from plaingrad.loops import Array
from plaingrad.network import Network

FORMAT = "plaingrad checkpoint 1"


def write_safely(path: pathlib.Path, content: bytes) -> None:
    """The whole content under `path`, or the old file untouched: temporary name, flush, read back, rename."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = pathlib.Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if temporary.read_bytes() != content:
            raise OSError("what was read back is not what was written")
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise CheckpointError(f"cannot write {path}: {reason}. What was saved there before is untouched") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush_folder(folder: pathlib.Path) -> None:
    if os.name == "posix":  # the rename itself is only safe once the folder is on disk
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _digest(arrays: dict[str, Array]) -> str:
    """SHA-256 over names, shapes, types and bytes: a damaged file has the right size but not the right digest."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    return digest.hexdigest()


def save(path: str | os.PathLike[str], net: Network, more: dict[str, Array] | None = None, **facts: Any) -> None:
    """Write a network, further arrays, and facts that JSON can hold."""
    import safetensors.numpy

    # Contiguous copies: the library writes the memory behind a strided view, which is not its values.
    arrays = {name: np.ascontiguousarray(array) for name, array in {**_of(net), **(more or {})}.items()}
    about = {"format": FORMAT, "sha256": _digest(arrays), "network": net.to_json(), "facts": facts}
    content = safetensors.numpy.save(arrays, {"plaingrad": json.dumps(about, ensure_ascii=False)})
    again = safetensors.numpy.load(content)
    if any(not np.array_equal(again[name], array, equal_nan=True) for name, array in arrays.items()):
        raise CheckpointError(f"cannot write {path}: the arrays read back differ from the ones in memory")
    write_safely(pathlib.Path(path), content)


def _of(net: Network) -> dict[str, Array]:
    return {**net.arrays, "input.offset": net.offset, "input.factor": net.factor}


def load(path: str | os.PathLike[str]) -> tuple[Network, dict[str, Array], dict[str, Any]]:
    """The network a checkpoint holds, its further arrays, and its facts."""
    import safetensors
    import safetensors.numpy

    path = pathlib.Path(path)
    try:
        content = path.read_bytes()
        arrays = safetensors.numpy.load(content)
        with safetensors.safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from None
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} is damaged or not a checkpoint ({len(content):,} bytes: {error}); take another one, or train again"
        ) from None
    try:
        about = json.loads(metadata["plaingrad"])
        if about["format"] != FORMAT:
            raise CheckpointError(f"{path} has the format {about['format']!r}; this version reads {FORMAT!r}")
        digest, described, facts = about["sha256"], about["network"], about["facts"]
    except (KeyError, ValueError, TypeError):
        raise CheckpointError(
            f"{path} is a safetensors file but not a checkpoint of plaingrad; it needs the metadata {FORMAT!r}"
        ) from None
    if _digest(arrays) != digest:
        raise CheckpointError(f"{path} is damaged: its arrays are not the ones that were written; take another one")
    try:
        net = Network.from_json(described, dtype=arrays["input.offset"].dtype)
    except (PlaingradError, KeyError) as error:
        raise CheckpointError(f"{path} holds a network that cannot be built here: {error}") from None
    restore(net, arrays, path)
    own = _of(net)
    return net, {name: array for name, array in arrays.items() if name not in own}, facts


def restore(net: Network, arrays: dict[str, Array], path: Any) -> None:
    """Lay saved arrays into a network of the same layers; the network is unchanged where they do not fit."""
    own = _of(net)
    for name, array in own.items():
        if name not in arrays or arrays[name].shape != array.shape:
            got = f"the shape {arrays[name].shape}" if name in arrays else "no such array"
            raise CheckpointError(
                f"{path} is of another network: for {name} it has {got}, {net.name} needs {array.shape}"
            )
    for name, array in own.items():
        array[...] = arrays[name]
