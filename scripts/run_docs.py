"""Run every block of README and docs: Python blocks, and console blocks line by line, in one folder each file, which
holds nothing but the project's `examples`. Where a page answers a question, the names of Python begin anew: who comes
by a link need not read what stands before.

A ```text block right after a ```python or ```java block holds what it prints; in a ```console block the lines after a
`$ ` line are what the command prints. Java is a whole class, and stays as it is where there is no JDK to run it.
`--write` puts the real output there; without it, the output is compared, with every number masked, the stars of a plot
and the empty places of a matrix too, for a machine's last bits and seconds are its own.
"""

import argparse
import contextlib
import io
import linecache
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import traceback

from plaingrad.cli.main import main as plaingrad_command

ROOT = pathlib.Path(__file__).parents[1]
BLOCK = re.compile(r"^```(?P<kind>python|console|java)\n(?P<body>.*?)^```(?:\n\n```text\n.*?^```)?$", re.S | re.M)
QUESTION = re.compile(r"^#+ [^\n]*\n\n<!-- answer: ", re.M)
NUMBER = re.compile(r"[-+]?\d[\d,.]*(?:e[-+]?\d+)?| +|[─┴]+|━+|│[ *]*|(?<=  )·")


def pages() -> list[pathlib.Path]:
    """The pages whose blocks run."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def run_python(code: str, names: dict[str, object]) -> str:
    """What a block prints."""
    printed, file = io.StringIO(), f"<docs {len(linecache.cache)}>"
    linecache.cache[file] = (len(code), None, code.splitlines(True), file)  # a text is read as it is written
    with contextlib.redirect_stdout(printed):
        exec(compile(code, file, "exec"), names)  # the project's own pages, not input
    return printed.getvalue()


def run_java(code: str) -> str | None:
    """What a class prints; None where no JDK is installed."""
    if not (shutil.which("java") and shutil.which("javac")):
        return None
    file = pathlib.Path(re.search(r"public class (\w+)", code)[1] + ".java")
    file.write_text(code, encoding="utf-8")
    done = subprocess.run(["java", file], capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode:
        raise RuntimeError(f"{file} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def run_command(command: str) -> str:
    """What a command prints on stdout; nothing where that goes into a file."""
    words = shlex.split(command)
    words, file = (words[:-2], pathlib.Path(words[-1])) if words[-2:-1] == [">"] else (words, None)
    if words[0] in ("make", "git", "pip", "cd", "source"):
        return ""  # set-up, done by whoever runs this
    if words[0] == "plaingrad":
        code, printed, told = plaingrad_here(words[1:])
    else:
        done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", check=False)
        code, printed, told = done.returncode, done.stdout, done.stderr
    a_verdict = words[:2] == ["plaingrad", "check"] and code == 1  # that something is wrong
    if code and not a_verdict:
        raise RuntimeError(f"{command!r} ended with {code}: {told.strip()}")
    if file:
        file.write_text(printed, encoding="utf-8")
        return ""
    return printed


def plaingrad_here(words: list[str]) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of the command, in this process: a page has many, each a second of imports."""
    printed, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(told):
        try:
            plaingrad_command(words)
        except SystemExit as ended:
            return int(ended.code or 0), printed.getvalue(), told.getvalue()
    return 0, printed.getvalue(), told.getvalue()


def part(text: str, place: int) -> int:
    """How many questions begin before a place of a page: blocks of one part share their names."""
    return sum(each.start() < place for each in QUESTION.finditer(text))


def renewed(text: str) -> str:
    """The page with every output as it is now."""
    parts: dict[int, dict[str, object]] = {}

    def block(match: re.Match[str]) -> str:
        names = parts.setdefault(part(text, match.start()), {"__name__": "__docs__"})
        if match["kind"] == "console":
            commands = [line for line in match["body"].splitlines() if line.startswith("$ ")]
            return "```console\n" + "".join(f"{line}\n{run_command(line[2:])}" for line in commands) + "```"
        printed = run_java(match["body"]) if match["kind"] == "java" else run_python(match["body"], names)
        if printed is None:
            return match[0]
        output = f"\n\n```text\n{printed}```" if printed else ""
        return f"```{match['kind']}\n{match['body']}```{output}"

    return BLOCK.sub(block, text)


def masked(text: str) -> str:
    """The text without its numbers."""
    return NUMBER.sub("#", text)


def main() -> int:
    """Check or renew the pages named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    told = parser.parse_args()
    os.environ["PATH"] = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # of this environment
    wrong = 0
    for page in told.pages or pages():
        page = page.resolve()
        before = page.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            shutil.copytree(ROOT / "examples", "examples")
            try:
                after = renewed(before)
            except Exception:
                traceback.print_exc()
                wrong += 1
                continue
        if told.write:
            page.write_text(after, encoding="utf-8")
        elif masked(after) != masked(before):
            sys.stderr.write(f"{page.name} does not print what it says; renew it with `make docs`\n")
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
