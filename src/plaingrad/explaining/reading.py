"""A text read as a formula: what one number of an array is, in the letters of its place."""

import ast
from collections.abc import Callable, Iterator
from types import FunctionType

from plaingrad.explaining.expressions import Cell, Expression, Local, Number, Whole, negative, plus
from plaingrad.explaining.indices import Index, axis_letters
from plaingrad.explaining.ranging import Cases, Compared, Extreme
from plaingrad.explaining.solving import Before, Running, Scope, Solved, UnreadError, View
from plaingrad.explaining.values import JOINED, Values
from plaingrad.schedule.tree import filled, function_of, names_in
from plaingrad.window import Window

LETTERS = {"row": "r", "column": "s"}


class Reader(Values):
    """Reads what a text makes of the array that is wanted."""

    def read(self) -> Expression:
        """The wanted array's number at the place of `places[wanted]`."""
        tree = function_of(self.text)
        self.followed = {self.wanted, *carried(tree)} if self.wanted in carried(tree) else {self.wanted}
        for name in self.shapes.keys() | self.seen.keys():
            self.locals[name] = View(name) if name in self.shapes else self.seen[name]
        self.statements(tree.body, Scope())
        if self.wanted not in self.states or self.wanted not in self.places:
            raise UnreadError(f"{self.wanted} is not filled place by place")
        return self.states[self.wanted]

    def statements(self, body: list[ast.stmt], scope: Scope) -> None:
        for each in body:
            self.statement(each, scope)

    def statement(self, node: ast.stmt, scope: Scope) -> None:
        match node:
            case ast.For(target, ast.Call(ast.Name("window"), given), body):
                for inner in self.window(names_in(target), given, scope):
                    self.statements(body, inner)
            case ast.For(target, ast.Call(function, given), body):
                self.statements(body, self.loop(names_in(target), ast.unparse(function), given, scope))
                self.close(scope)
            case ast.If(test, body, other):
                if not self.search(test, body, scope):
                    self.statements(body, scope.under(*self.conditions(test, scope)))
                    if other:
                        self.statements(other, scope.under(*self.otherwise(test, scope)))
            case ast.Assign([ast.Tuple(targets)], ast.Tuple(values)):
                for target, value in zip(targets, values, strict=True):
                    self.statement(ast.Assign([target], value, lineno=node.lineno), scope)
            case ast.Assign([ast.Name(name)], value):
                made = self.value(value, scope)
                is_whole = isinstance(made, View | Index | tuple) and name not in sums_in(function_of(self.text))
                self.locals[name] = made if is_whole else Running(Local(name, self.number(made)), scope.letters)
            case ast.AugAssign(ast.Name(name), ast.Add() | ast.Sub(), value):
                self.add_to(name, self.signed(node, scope), scope)
            case ast.Assign([ast.Subscript() as target], value):
                self.store(target, lambda _: self.expression(value, scope), scope, False)
            case ast.AugAssign(ast.Subscript() as target, ast.Add() | ast.Sub()):
                self.store(target, lambda _: self.signed(node, scope), scope, True)
            case ast.AugAssign(ast.Subscript() as target, op, value):
                self.store(target, lambda old: JOINED[type(op)](old, self.expression(value, scope)), scope, False)
            case ast.Expr(ast.Constant()) | ast.Pass():
                pass
            case _:
                raise UnreadError(f"{ast.unparse(node).splitlines()[0]!r} is not read")

    def signed(self, node: ast.AugAssign, scope: Scope) -> Expression:
        value = self.expression(node.value, scope)
        return negative(value) if isinstance(node.op, ast.Sub) else value

    def window(self, names: list[str], given: list[ast.expr], scope: Scope) -> Iterator[Scope]:
        """The scope where `Window.__call__` gives what it gives."""
        walk = function_of(Window.__call__)
        before, window = dict(self.locals), self.locals["window"]
        for each, value in zip(walk.args.args, [window, *(self.whole(each, scope) for each in given)], strict=True):
            self.locals[each.arg] = value
        body: list[ast.stmt] = walk.body
        while True:
            match body[-1]:
                case ast.For(ast.Name(name), ast.Call(ast.Name("range"), [size]), inner):
                    scope, self.locals[name] = self.run(name, Index(), self.whole(size, scope), scope)
                case ast.If(test, inner):
                    self.statements(body[:-1], scope)
                    scope = scope.under(*self.conditions(test, scope))
                case ast.Expr(ast.Yield(ast.Tuple(values))):
                    made = [self.whole(each, scope) for each in values]
                    self.locals = {**before, **dict(zip(names, made, strict=True))}
                    yield scope
                    return
                case _:
                    inner = body[1:]
            body = inner

    def close(self, scope: Scope) -> None:
        """A loop is done: the numbers it added up are whole."""
        for each in self.locals.values():
            if isinstance(each, Running) and set(each.letters) <= set(scope.letters):
                each.is_open = False

    def add_to(self, name: str, value: Expression, scope: Scope) -> None:
        """A number that a loop adds to."""
        held = self.locals.get(name)
        if not isinstance(held, Running) or held.is_open:
            raise UnreadError(f"{name} is added to in two places")
        more = [letter for letter in scope.letters if letter not in held.letters]
        solved = Solved(self.boxes, more, list(scope.least))
        before = held.value.of if isinstance(held.value, Local) else held.value
        held.value, held.is_open = Local(name, plus(before, solved.over(value, scope.conditions))), bool(more)

    def place(self, array: str, target: ast.expr) -> tuple[Index, ...]:
        """The letters of an array's place: those of the first assignment to it, where it is filled by plain letters."""
        if array not in self.places:
            sizes = self.shapes[array]
            words = list(axis_letters(sizes, array in self.images))
            parts = target.elts if isinstance(target, ast.Tuple) else [target]
            for axis, part in enumerate(parts if len(parts) == len(sizes) and array in self.images else []):
                name = part.id if isinstance(part, ast.Name) else {2: "r", 3: "s"}.get(axis, "m")
                words[axis] = LETTERS.get(name, name if len(name) == 1 else words[axis])
            self.letters[array] = letters = [f"{word}#{array}{axis}" for axis, word in enumerate(words)]
            self.boxes |= {letter: (0, size - 1) for letter, size in zip(letters, sizes, strict=True)}
            self.places[array] = tuple(
                Index.of(letter) if size > 1 else Index() for letter, size in zip(letters, sizes, strict=True)
            )
        return self.places[array]

    def store(
        self,
        target: ast.Subscript,
        value: Callable[[Expression], Expression],
        scope: Scope,
        adds: bool,
        sign: str = "Σ",
    ) -> None:
        """An assignment to a cell."""
        array = ast.unparse(target.value)
        if array not in self.followed:
            return
        if isinstance(target.slice, ast.Slice):
            made = value(Number(0))
            if adds or not isinstance(made, Number | Whole):
                raise UnreadError("a whole array is filled at once")
            self.states[array] = made
            return
        here = self.value(target, scope, as_view=True)
        place = self.place(array, target.slice)
        made = value(Before(array, here.index))
        used = {letter for each in (made, *scope.conditions) for letter in letters_of(each, here.index)}
        solved = Solved(self.boxes, list(scope.letters), list(scope.least))
        for index, own in sorted(zip(here.index, place, strict=True), key=lambda each: len(each[0].shares)):
            solved.equal(index, own, used)
        state = self.states.get(array)
        if not adds and solved.letters:
            raise UnreadError(f"{array} is written several times at each place")
        before = state or Cell(array, place)
        if adds:
            self.states[array] = plus(before, self.now(solved.over(made, scope.conditions)))
        else:
            self.states[array] = self.now(solved.over(made, scope.conditions, before))

    def now(self, made: Expression) -> Expression:
        """An expression in which the arrays that are followed are what they are where the text has come to."""

        def known(each: Expression) -> Expression:
            if not isinstance(each, Before):
                return each
            place, state = self.places.get(each.array), self.states.get(each.array)
            if place is None or state is None:
                return Cell(each.array, each.index)
            if each.index != place and each.array == self.wanted:
                return Cell(each.array, each.index)
            letters = {one.letter: index for one, index in zip(place, each.index, strict=True) if one.letter}
            state = state.put(letters)
            return state if each.array == self.wanted else Local(each.array + "′", state)

        made = made.changed({}, known)
        return made

    def search(self, test: ast.expr, body: list[ast.stmt], scope: Scope) -> bool:
        """Whether this is a search for the largest, which is then read: `if x > y: y = x; winner = its place`."""
        asked = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or) else [test]
        pairs = [pair for each in asked for pair in self.larger(each)]
        stores = [each for each in body if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Subscript)]
        found = [each for each in stores if (ast.unparse(each.value), ast.unparse(each.targets[0])) in pairs]
        if len(found) != 1 or len(stores) != len(body):
            return False
        largest = found[0]
        value = self.expression(largest.value, scope)
        held = self.value(largest.targets[0], scope, as_view=True)
        for each in stores:
            target = each.targets[0]
            array = ast.unparse(target.value)  # type: ignore[attr-defined]
            if array != self.wanted:
                continue
            here = self.value(target, scope, as_view=True)
            place = self.place(array, target.slice)  # type: ignore[attr-defined]
            solved = Solved(self.boxes, list(scope.letters), list(scope.least))
            for index, own in zip(here.index, place, strict=True):
                solved.equal(index, own, set(solved.letters))
            before = self.states.get(array)
            if each is largest:
                made = self.run_over("max", solved, value)
                starts = len(asked) == 1 and before is not None
                self.states[array] = Extreme("max", (before, made)) if starts and before is not None else made
            else:
                own_value = self.spelled(each.value, scope)
                where = Compared("==", value, Cell(held.array, held.index))
                self.states[array] = self.run_over("first", solved, Cases((where,), own_value))
        return True

    def spelled(self, node: ast.expr, scope: Scope) -> Expression:
        """A whole number as the text spells it: row × 28 + column."""
        match node:
            case ast.BinOp(left, ast.Add() | ast.Mult() as op, right):
                return JOINED[type(op)](self.spelled(left, scope), self.spelled(right, scope))
        return self.expression(node, scope)

    def larger(self, test: ast.expr) -> list[tuple[str, str]]:
        """What is asked to be larger than what, as it is written."""
        match test:
            case ast.Compare(left, [ast.Gt()], [right]) | ast.Compare(right, [ast.Lt()], [left]):
                return [(ast.unparse(left), ast.unparse(right))]
            case ast.BoolOp(ast.Or(), values):
                return [pair for each in values for pair in self.larger(each)]
            case ast.Call(ast.Name(name), given) if isinstance(self.text.plain.__globals__.get(name), FunctionType):
                value, names = self.helper(name)
                written = dict(zip(names, map(ast.unparse, given), strict=True))
                return [(written.get(a, a), written.get(b, b)) for a, b in self.larger(value)]
        return []


def letters_of(made: Expression, besides: tuple[Index, ...]) -> Iterator[str]:
    """The letters of an expression's indices, besides those that stand in it as these indices."""
    for each in made.all():
        for value in vars(each).values():
            for one in value if isinstance(value, tuple) else (value,):
                for known in besides if isinstance(one, Index) else ():
                    letters = [*known.letters()]
                    times, left = divmod(one.share(letters[0]), known.share(letters[0]) or 1) if letters else (0, 1)
                    rest = one - known * times
                    one = rest if not left and not set(letters) & set(rest.letters()) else one
                yield from one.letters() if isinstance(one, Index) else ()


def sums_in(tree: ast.FunctionDef) -> set[str]:
    """The names that a text adds to."""
    added = (each.target for each in ast.walk(tree) if isinstance(each, ast.AugAssign))
    return {each.id for each in added if isinstance(each, ast.Name)}


def carried(tree: ast.FunctionDef) -> set[str]:
    """The arrays that a text reads before it fills them: what an optimiser carries from step to step."""
    found, met, every = set[str](), set[str](), filled(tree)
    for node in statements_of(tree.body):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        read = {each.id for each in ast.walk(node.value) if isinstance(each, ast.Name)}
        read |= {
            ast.unparse(each.value)
            for each in targets
            if isinstance(node, ast.AugAssign) and isinstance(each, ast.Subscript)
        }
        found |= (read & every) - met
        met |= filled(ast.Module([node], []))
    return found


def statements_of(body: list[ast.stmt]) -> Iterator[ast.Assign | ast.AugAssign]:
    """The assignments of a text in their order."""
    for each in body:
        if isinstance(each, ast.Assign | ast.AugAssign):
            yield each
        elif isinstance(each, ast.For | ast.If):
            yield from statements_of([*each.body, *each.orelse])
