"""The subcommand `export`: a trained network as a file for other programs."""

import pathlib
from typing import Any

from plaingrad.cli.commands import opened
from plaingrad.errors import SettingError, visible
from plaingrad.training.run_folder import BEST, CHECKPOINT, require_new

KINDS = {".onnx": "onnx", ".safetensors": "torch-state"}


def exported(run: str, file: str, probabilities: bool, force: bool) -> dict[str, Any]:
    """Write the file that its name asks for; what was written."""
    kind = pathlib.Path(file).suffix.lower()
    if kind not in KINDS:
        raise SettingError(f"export writes {' or '.join(KINDS)} files, not {file!r}; name one, model.onnx say")
    if probabilities and kind != ".onnx":
        raise SettingError("--probabilities is for ONNX: a safetensors file holds the weights alone; leave it out")
    require_new(file, force)
    target, source = pathlib.Path(file).resolve(), pathlib.Path(run).resolve()
    if target in (source, source / CHECKPOINT, source / BEST):
        raise SettingError(f"export got {visible(file)}, which is what it reads: name another file")
    net, about, _ = opened(run)
    if kind == ".onnx":
        net.to_onnx(file, probabilities=probabilities, classes=tuple(about.get("classes", ())))
    else:
        net.to_torch_state(file)
    return {"file": file, "kind": KINDS[kind], "network": net.name, "parameters": net.size, "input": list(net.input)}
