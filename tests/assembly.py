"""The machine code of nests for processors of other kinds than this one, and what its innermost loops do."""

import re
from dataclasses import dataclass
from typing import Any

import pytest
from llvmlite import binding

from plaingrad.compiler import numba_code
from plaingrad.network.network import Network
from plaingrad.network.run import Run
from plaingrad.schedule import fast, winograd


@dataclass(frozen=True)
class Target:
    """A kind of processor, as LLVM knows it, and its vector registers: how many, and float32 numbers in each."""

    triple: str
    cpu: str
    registers: tuple[int, int]
    multiply_add: str
    """How a fused multiplication and addition of a whole vector looks."""
    store: str


X86_STORE = r"vmov\w+\s+%[xyz]mm\d+, (?!.*\(%rsp\)).*\("
TARGETS = {
    "AVX2": Target("x86_64-unknown-linux-gnu", "haswell", (16, 8), r"vfn?m\w+ps\s.*%ymm", X86_STORE),
    "AVX-512": Target("x86_64-unknown-linux-gnu", "sapphirerapids", (32, 16), r"vfn?m\w+ps\s.*%zmm", X86_STORE),
    "NEON": Target(
        "aarch64-unknown-linux-gnu",
        "neoverse-n1",
        (32, 4),
        r"fml[as]\s+v\d+\.4s",
        r"\s(st[rpu]+|st1)\s+\{?[qv]\d+(?!.*\[sp\b)",
    ),
}
ANY_MULTIPLY_ADD = r"vfn?m(add|sub)\w+|fn?m(add|sub)|fml[as]"
SPILL = r"[xyz]mm\d+.*\(%rsp\)|\(%rsp\).*[xyz]mm\d+|\b[qdv]\d+.*\[sp\b"  # a vector, and a place on the stack
LABEL, JUMP = r"(\.LBB\w+):", r"\s+(?:j\w+|b(?:\.\w+)?|cbn?z\s+\w+,|tbn?z\s+\w+, #\d+,)\s+(\.LBB\w+)"


@dataclass(frozen=True)
class Loop:
    """An innermost loop: how many instructions it has, and how many of them are of each kind."""

    instructions: int
    multiply_adds: int
    whole: int
    """Multiplications with addition of whole vectors."""
    stores: int
    """Whole vectors stored, and not to the stack."""
    spills: int
    """Vectors stored to the stack or read from it, since there were too few registers."""


def loops_of(layer: Any, shape: tuple[int, ...], lanes: int, target: Target, only: str = "") -> dict[str, list[Loop]]:
    """Of each nest, or of one, that a layer's sums of products get on such a processor the innermost loops that
    multiply."""
    found = {}
    for name, module in modules(layer, shape, lanes, target.registers, only).items():
        every = innermost(assembly(module, target), target)
        found[name] = [loop for loop in every if loop.multiply_adds]
    return {name: loops for name, loops in found.items() if "summed" not in name}


def modules(
    layer: Any, shape: tuple[int, ...], lanes: int, registers: tuple[int, int], only: str = ""
) -> dict[str, str]:
    """The nests that name their vectors, or one of them, as LLVM gets them from Numba, before it changes them."""
    found: dict[str, str] = {}

    def kept(function: Any, given: list[Any], constants: tuple[Any, ...] = ()) -> int:
        if numba_code.has_vectors(function) and only in ("", function.__name__):
            with pytest.MonkeyPatch.context() as unoptimised:

                def keep(library: Any) -> None:
                    found[function.__name__] = str(library._final_module)

                library = numba_code.code_generator(True)._library_class
                unoptimised.setattr(library, "_optimize_final_module", keep)
                numba_code.compiled(function, given, constants)
        return 0

    with pytest.MonkeyPatch.context() as patch:
        for place in ("tiles", "vectors"):
            patch.setattr(f"plaingrad.schedule.{place}.registers", lambda: registers)
        patch.setattr("plaingrad.compiler.loops.machine_code", kept)
        fast.nest.cache_clear()
        winograd.nest.cache_clear()
        try:
            Run(Network(layer, input=shape), lanes, input_gradient=True, by_patches=True)
        finally:
            fast.nest.cache_clear()
            winograd.nest.cache_clear()
    return found


def assembly(module: str, target: Target) -> list[str]:
    """What LLVM makes of a module for such a processor."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    machine = binding.Target.from_triple(target.triple).create_target_machine(cpu=target.cpu, opt=3, reloc="pic")
    text = re.sub(r'^target (triple|datalayout) = ".*"$', "", module, flags=re.M)
    parsed = binding.parse_assembly(text)
    parsed.triple, parsed.data_layout = target.triple, str(machine.target_data)
    options = binding.create_pipeline_tuning_options(3)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    passes = binding.create_pass_builder(machine, options)
    passes.getModulePassManager().run(parsed, passes)
    return machine.emit_assembly(parsed).splitlines()


def innermost(lines: list[str], target: Target) -> list[Loop]:
    """The loops that hold no other: from a label to a jump back to it."""
    labels = {found[1]: place for place, line in enumerate(lines) if (found := re.match(LABEL, line))}
    jumps = [(labels[found[1]], place) for place, line in enumerate(lines) if (found := re.match(JUMP, line))]
    back = {(start, end) for start, end in jumps if start <= end}
    inner = [
        (start, end)
        for start, end in back
        if not any(start <= other and last <= end and (other, last) != (start, end) for other, last in back)
    ]
    return [counted(lines[start : end + 1], target) for start, end in inner]


def counted(lines: list[str], target: Target) -> Loop:
    """What a loop consists of."""
    instructions = [line for line in lines if re.match(r"\s+[a-z]", line)]

    def count(pattern: str) -> int:
        return sum(bool(re.search(pattern, line)) for line in instructions)

    return Loop(
        len(instructions), count(ANY_MULTIPLY_ADD), count(target.multiply_add), count(target.store), count(SPILL)
    )
