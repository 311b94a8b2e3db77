"""A Python as in a browser: nothing but NumPy, and no thread can be started."""

import os
import subprocess
import sys
from pathlib import Path

import plaingrad

BEFORE = """
import sys, threading

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("click", "jinja2", "PIL", "rich", "safetensors", "sympy"):
            raise ModuleNotFoundError(name)

def refuse(self):
    raise RuntimeError("can't start new thread")

sys.meta_path.insert(0, Missing())
threading.Thread.start = refuse
"""


def alone(code: str, folder: Path, *path: Path) -> str:
    """What code prints there, with a home in `folder` and more of Python's `path`."""
    known = os.pathsep.join(map(str, (*path, Path(plaingrad.__file__).parents[1])))
    around = os.environ | {"PLAINGRAD_PLAIN": "1", "HOME": str(folder), "PYTHONPATH": known, "PYTHONUTF8": "1"}
    command = [sys.executable, "-c", BEFORE + code]
    done = subprocess.run(command, env=around, cwd=folder, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
