"""The terms of a traced number: its sum taken apart, and worked out anew on other numbers."""

from collections.abc import Callable
from typing import Any

from plaingrad.compiler.loops import ELEMENTARY
from plaingrad.explaining.traced_numbers import CELL, NAMED, NUMBER, Traced

OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "**": lambda left, right: left**right,
    "neg": lambda left, _: -left,
}


def summands(node: Traced) -> list[tuple[Traced, bool]]:
    """The terms of a sum in the order in which they are added, each with whether it is taken away."""
    found: list[tuple[Traced, bool]] = []
    while node.op in ("+", "-"):
        found.append((node.right, node.op == "-"))
        node = node.left
    found.append((node, False))
    return [(each, sign) for each, sign in reversed(found) if not is_nothing(each)]


def is_nothing(node: Traced) -> bool:
    """Whether a term is a plain zero, or a product with one: what lies over padding, or was switched off."""
    if node.op == "*":
        return is_nothing(node.left) or is_nothing(node.right)
    return node.op in (NUMBER, NAMED) and not node.value


def visible(node: Traced) -> Traced:
    """A number without the plain zeros that were added to it."""
    while node.op in ("+", "-"):
        if is_nothing(node.right):
            node = node.left
        elif node.op == "+" and is_nothing(node.left):
            node = node.right
        else:
            break
    return node


def product(node: Traced) -> list[tuple[Traced, bool]]:
    """The factors of a product, each with whether it is divided by."""
    found: list[tuple[Traced, bool]] = []
    while node.op in ("*", "/"):
        found.append((node.right, node.op == "/"))
        node = node.left
    if node.op == "neg":
        return [(Traced(-1, NUMBER), False), *product(node.left), *reversed(found)]
    return [(node, False), *reversed(found)]


def fold(node: Traced, leaf: Callable[[Traced], Any]) -> Any:
    """The expression of a number worked out anew, on what `leaf` makes of its cells and plain numbers."""
    order, stack = [], [node]
    while stack:
        order.append(stack.pop())
        stack += [each for each in (order[-1].left, order[-1].right) if type(each) is Traced]
    done: dict[int, Any] = {}
    for each in reversed(order):
        if id(each) in done:
            continue
        if each.op in (CELL, NUMBER, NAMED):
            done[id(each)] = leaf(each)
        elif each.op in OPERATIONS:
            right = done[id(each.right)] if each.right is not None else None
            done[id(each)] = OPERATIONS[each.op](done[id(each.left)], right)
        else:
            done[id(each)] = ELEMENTARY[each.op](done[id(each.left)])
    return done[id(node)]
