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

from plaingrad.compiler.loops import Array
from plaingrad.data.pixels import Seen
from plaingrad.errors import CheckpointError, SettingError, require_path
from plaingrad.network.network import Network, require_network
from plaingrad.network.outline import MOST_BYTES, Outline

FORMAT = "plaingrad checkpoint 1"
OLD_SETTINGS = {"fading": "beta1", "fading_square": "beta2"}  # of Adam in plaingrad 0.1, by today's names
OLD_SLOTS = {"optimiser.mean.": "optimiser.m.", "optimiser.square.": "optimiser.v."}


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
        temporary.chmod(0o666 & ~umask())
        temporary.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CheckpointError(f"cannot write {path}: {reason}. What was saved there before is untouched") from error
    finally:  # Ctrl-C comes through here too
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def page_file(path: str | pathlib.Path, usual: str) -> pathlib.Path:
    """The file that a page is to be written to; SettingError where something other than a file is in its place."""
    place = pathlib.Path(path)
    if not place.name or (place.exists() and not place.is_file()):
        raise SettingError(f"cannot write a page to {str(path)!r}, which is no file; name one, {usual} say")
    return place


def umask() -> int:
    """The permissions that new files are not to have."""
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


def _digest(about: dict[str, Any], arrays: dict[str, Array]) -> str:
    """SHA-256 over all that is said and kept: a damaged file has the right size but not the right digest."""
    digest = hashlib.sha256(json.dumps(about).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    return digest.hexdigest()


def save(path: str | os.PathLike[str], net: Network, more: dict[str, Array] | None = None, **facts: Any) -> None:
    """Write a network, further arrays, and facts that JSON can hold."""
    import safetensors.numpy

    path, net = require_path("a checkpoint", path), require_network("a checkpoint", net)
    if taken := sorted(arrays_of(net).keys() & (more or {}).keys()):
        raise CheckpointError(f"cannot write {path}: {taken[0]!r} is the name of an array of the network's own")
    # Contiguous copies: the library writes the memory behind a strided view, which is not its values.
    arrays = {name: _plain(array) for name, array in {**arrays_of(net), **(more or {})}.items()}
    about: dict[str, Any] = {"format": FORMAT, "network": net.to_json(), "facts": facts}
    if net.seen is not None:
        about["pixels"] = net.seen.to_json()
    try:
        about["sha256"] = _digest(about, arrays)
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"cannot write {path}: its facts are not what JSON can hold: {error}") from None
    content = safetensors.numpy.save(arrays, {"plaingrad": json.dumps(about)})
    again = safetensors.numpy.load(content)
    if any(not np.array_equal(again[name], array, equal_nan=True) for name, array in arrays.items()):
        raise CheckpointError(f"cannot write {path}: the arrays read back differ from the ones in memory")
    write_safely(path, content)


def _plain(array: Array) -> Array:
    return np.asarray(array, array.dtype.newbyteorder("="), order="C")


def arrays_of(net: Network) -> dict[str, Array]:
    """Every array that makes a network what it is, by its whole name."""
    return {**net.arrays, **net.kept, "input.offset": net.offset, "input.factor": net.factor}


def load(path: str | os.PathLike[str]) -> tuple[Network, dict[str, Array], dict[str, Any]]:
    """The network a checkpoint holds, its further arrays, and its facts."""
    path = require_path("a checkpoint", path)
    content, arrays, metadata = read_arrays(path, "a checkpoint", "take another one, or train again")
    try:
        about = json.loads(metadata["plaingrad"])
        if about["format"] != FORMAT:
            raise CheckpointError(f"{path} has the format {about['format']!r}; this version reads {FORMAT!r}")
        digest, described, facts = about.pop("sha256"), about["network"], dict(about["facts"])
    except CheckpointError:
        raise
    except (KeyError, ValueError, TypeError, RecursionError):
        raise CheckpointError(
            f"{path} is a safetensors file but not a checkpoint of plaingrad; it needs the metadata {FORMAT!r}"
        ) from None
    if _digest(about, arrays) != digest:
        raise CheckpointError(f"{path} is damaged: it does not hold what was written; take another one")
    try:
        outline, dtype = Outline.from_json(described), arrays["input.offset"].dtype
        require_arrays(outline, arrays, path)  # no network is built that the file does not hold
        outline.require_room(dtype.itemsize, MOST_BYTES + len(content))
        net = Network(*outline.layers, input=outline.input, dtype=dtype, name=outline.name)
        net.seen = Seen.from_json(about["pixels"]) if "pixels" in about else None
    except CheckpointError:
        raise
    except (ValueError, KeyError, TypeError, MemoryError, RecursionError) as error:
        raise CheckpointError(f"{path} holds a network that cannot be built here: {error}") from None
    restore(net, arrays, path)
    own = arrays_of(net)
    return net, {_renamed(name): array for name, array in arrays.items() if name not in own}, _in_new_names(facts)


def read_arrays(path: pathlib.Path, wanted: str, advice: str) -> tuple[bytes, dict[str, Array], dict[str, str]]:
    """The bytes of a safetensors file, its arrays and its metadata. CheckpointError where it is none."""
    import safetensors
    import safetensors.numpy

    content = b""
    try:
        content = path.read_bytes()
        arrays = safetensors.numpy.load(content)
        # From the same bytes: the file may be another one by now.
        metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__", {})
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from None
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} is damaged or not {wanted} ({len(content):,} bytes: {error}); {advice}"
        ) from None
    return content, arrays, metadata


def load_weights(path: pathlib.Path, net: Network) -> None:
    """Lay the weights of a checkpoint, or of any safetensors file with arrays such as `conv1.w`, into a network.

    CheckpointError where one is missing, has another shape or holds what is no finite number. A file without
    `input.offset` and `input.factor` leaves the pixels as they are.
    """
    _, arrays, metadata = read_arrays(path, "a safetensors file", "name one with arrays such as conv1.w")
    if "plaingrad" in metadata:
        arrays = arrays_of(load(path)[0])  # a checkpoint is held to its digest
    for name in arrays_of(net):
        if name in arrays and not (arrays[name].dtype.kind == "f" and np.isfinite(arrays[name]).all()):
            raise CheckpointError(f"{path}: {name} is of {arrays[name].dtype} or not finite; it needs finite floats")
    untouched = {"input.offset": net.offset, "input.factor": net.factor}
    restore(net, {**untouched, **arrays}, path)


def _renamed(name: str) -> str:
    return next((new + name.removeprefix(old) for old, new in OLD_SLOTS.items() if name.startswith(old)), name)


def _in_new_names(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts with the settings of an Adam of plaingrad 0.1 under their names of today."""
    training = facts.get("training")
    if not isinstance(training, dict) or not isinstance(optimiser := training.get("optimiser"), dict):
        return facts
    if optimiser.get("kind") not in ("Adam", "AdamW"):
        return facts
    renamed = {OLD_SETTINGS.get(name, name): value for name, value in optimiser.items()}
    return facts | {"training": training | {"optimiser": renamed}}


def restore(net: Network, arrays: dict[str, Array], path: Any) -> None:
    """Lay saved arrays into a network of the same layers; the network is unchanged where they do not fit."""
    require_arrays(net, arrays, path)
    for name, array in arrays_of(net).items():
        array[...] = arrays[name]


def require_arrays(net: Outline, arrays: dict[str, Array], path: Any) -> None:
    """CheckpointError where arrays are not those of a network of these layers."""
    channels = (net.input[0],)
    needs = net.trained | {name: state.shape for name, state in net.states.items()}
    for name, shape in (needs | {"input.offset": channels, "input.factor": channels}).items():
        if name not in arrays or arrays[name].shape != shape:
            got = f"the shape {arrays[name].shape}" if name in arrays else "no such array"
            raise CheckpointError(f"{path} is of another network: for {name} it has {got}, {net.name} needs {shape}")
