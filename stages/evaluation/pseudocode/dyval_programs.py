"""The seven tasks of DyVal as programs. Each step of a problem is a printed line that ends in the value of the step.

Trees, equations and sums of paths are written out in the order of their calculation. Reachability and abductive logic are
searches, so their programs hold the graph and search it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stages.evaluation.pseudocode.programs import FINAL, Line, Plan, are_names, assemble_plan

UNKNOWN = "N/A"  # the answer where none follows
WITH_UNKNOWN = ("deductive_logic", "abductive_logic")  # tasks in which it is a value like True and False
_LEAF = "is"  # the operation of a statement without operands


def write_plan(params: Mapping[str, Any], answer: str) -> Plan | None:
    """The plan of a problem with these parameters; None where its answer is that nothing can be calculated."""
    task = params["task"]
    return None if answer == UNKNOWN and task not in WITH_UNKNOWN else _WRITERS[task](params)


def list_in_order(targets: Sequence[str], operands: Mapping[str, Sequence[str]]) -> list[str] | None:
    """All names that the targets need and themselves, operands first; None where one is not described, or needs itself."""
    order: dict[str, None] = {}

    def visit(name: str, above: tuple[str, ...]) -> bool:
        if name not in order:
            if name not in operands or name in above:
                return False
            if not all(visit(operand, (*above, name)) for operand in operands[name]):
                return False
            order[name] = None
        return True

    return list(order) if all(visit(target, ()) for target in targets) else None


def _write_tree(params: Mapping[str, Any]) -> Plan | None:
    lines = _list_tree_lines(params, [params["asked"]])
    analysis = "Each value follows from the values that it is described by."
    return None if lines is None else assemble_plan(analysis, lines, params["asked"])


def _list_tree_lines(params: Mapping[str, Any], targets: Sequence[str], own: Sequence[str] = ()) -> list[Line] | None:
    """A line for each value that the targets need. own: names that the program has beside those of the problem."""
    table = {name: (operation, operands) for name, operation, operands in params["statements"]}
    needed = {name: () if operation == _LEAF else operands for name, (operation, operands) in table.items()}
    order = list_in_order(targets, needed)
    if order is None or not are_names([*table, *own]):
        return None
    lines = []
    for name in order:
        operation, operands = table[name]
        if operation == _LEAF:
            lines.append(Line(f"{name} = {operands}", f'"{name} =", {name}', f"Note that {name} is {operands}."))
            continue
        symbol = f" {operation} "
        if operation in ("not", "sqrt"):
            formula = f"not {operands[0]}" if operation == "not" else f"sqrt({operands[0]})"
            shown = f'"{operation}", {operands[0]}'
        elif operation == "square":
            formula, shown = f"{operands[0]} ** 2", f'{operands[0]}, "squared"'
        else:
            formula, shown = symbol.join(operands), f', "{operation}", '.join(operands)
        words = f"To get {name}, work out {formula}."
        lines.append(Line(f"{name} = {formula}", f'"{name} = {formula} =", {shown}, "=", {name}', words))
    return lines


def _write_equations(params: Mapping[str, Any]) -> Plan | None:
    """Two linear equations by Cramer's rule; a coefficient is a number, or [name] of a value that is described."""
    unknowns, determinants = ("x", "y"), ("D", "Dx", "Dy")
    lines = _list_tree_lines(params, params["asked"], (*unknowns, *determinants))
    if lines is None:
        return None
    a, b, c, d, e, f = (entry[0] if isinstance(entry, list) else entry for entry in params["coefficients"])
    for p, q, total in ((a, b, c), (d, e, f)):
        printed = f'{p}, "* x +", {q}, "* y =", {total}'
        lines.append(Line("", printed, f"Note the equation {p} * x + {q} * y = {total}."))
    for name, (p, q, r, s) in zip(determinants, ((a, e, b, d), (c, e, b, f), (a, f, c, d)), strict=True):
        formula, shown = f"{p} * {q} - {r} * {s}", f'{p}, "*", {q}, "-", {r}, "*", {s}'
        words = f"To get {name}, work out {formula}."
        lines.append(Line(f"{name} = {formula}", f'"{name} =", {shown}, "=", {name}', words))
    for name in unknowns:
        printed = f'"{name} =", D{name}, "/", D, "=", {name}'
        lines.append(Line(f"{name} = D{name} / D", printed, f"To get {name}, divide D{name} by D."))
    return assemble_plan("Two equations in x and y are solved by three determinants (Cramer's rule).", lines, "(x, y)")


def _write_path_sum(params: Mapping[str, Any]) -> Plan | None:
    """The largest sum from each node to the end, children first; a node without a path there has none."""
    start, end = params["asked"]
    links = {name: below for name, _, below, _ in params["statements"]}
    values = {name: value for name, _, _, value in params["statements"]}
    order = list_in_order([start], links)
    if order is None or not are_names(list(links)):
        return None
    lines: list[Line] = []
    known: set[str] = set()
    for name in order:
        onward = [child for child in links[name] if child in known]
        if name == end:
            line = Line(
                f"{name} = {values[name]}", f'"{name} =", {name}', f"Note that {name} ends the path: {values[name]}."
            )
        elif onward:
            best = f"max({', '.join(onward)})" if len(onward) > 1 else onward[0]
            formula = f"{values[name]} + {best}"
            shown = f'"{values[name]} + the largest of", {", ".join(onward)}'
            words = f"To get the largest sum from {name} on, work out {formula}."
            line = Line(f"{name} = {formula}", f'"{name} = {formula} =", {shown}, "=", {name}', words)
        else:
            continue
        known.add(name)
        lines.append(line)
    analysis = "The largest sum from a node on is its value and the largest sum of the nodes that it points to."
    return assemble_plan(analysis, lines, start) if start in known else None


def _write_deduction(params: Mapping[str, Any]) -> Plan | None:
    """Facts and rules forwards. A name has no value until a rule whose premise is true gives it one."""
    table: dict[str, list[Any]] = {}
    for statement in params["statements"]:
        table.setdefault(statement[0], []).append(statement)
    operands = {
        name: [operand for rule in rules if rule[1] != _LEAF for operand in rule[2]] for name, rules in table.items()
    }
    order = list_in_order([params["asked"]], operands)
    if order is None or not are_names(list(table)):
        return None
    lines = []
    for name in order:
        before = f'{name} = "{UNKNOWN}"\n'
        for _, operation, below, *sign in table[name]:
            if operation == _LEAF:
                lines.append(Line(f"{name} = {below}", f'"{name} is", {name}', f"Note that {name} is {below}."))
            else:
                wanted = operation != "not"
                premise = f" {operation if wanted else ''} ".join(f"{operand} == {wanted}" for operand in below)
                statement = f"{before}if {premise}:\n    {name} = {sign[0]}"
                rule = f"{premise} -> {name} == {sign[0]}"
                words = f"If {premise}, {name} is {sign[0]}."
                lines.append(Line(statement, f'"{rule}:", {", ".join(below)}, "so {name} is", {name}', words))
            before = ""
    analysis = f"A rule gives its name a value if its premise is true. What no rule and no fact tells is {UNKNOWN}."
    return assemble_plan(analysis, lines, params["asked"])


_REACHABILITY = """\
links = {links}
start = "{start}"
end = "{end}"
reached = [start]
for node in reached:
    new = []
    for child in links[node]:
        if child not in reached:
            new.append(child)
    print("from", node, "on to", new)
    reached.extend(new)
    if end in reached:
        break
print("reached:", end in reached)
print("{final}", end in reached)"""


def _write_search(params: Mapping[str, Any]) -> Plan:
    start, end = params["asked"]
    links = "{" + ", ".join(f'"{name}": {list(below)}' for name, _, below in params["statements"]) + "}"
    prose = (
        f"1. Begin at {start}.\n2. Follow every link of each node that was reached, in order, and note the new nodes.\n"
        f"3. Stop when {end} is reached or no node is left.\n4. The answer is True if {end} was reached, else False."
    )
    code = _REACHABILITY.format(links=links.replace("'", '"'), start=start, end=end, final=FINAL)
    return Plan("Whether a node can be reached is found by following all links.", prose, code)


# A rule is [conclusion, operation, parts, the value that it concludes, which parts are negated].
_ABDUCTION = """\
rules = [
{rules}
]
target = "{target}"
leads = [target]
for part in leads:
    for name, operation, parts, sign, negated in rules:
        if part in parts and name not in leads:
            leads.append(name)
known = {{"{observed}": {value}}}
print("{observed} is", {value})
queue = ["{observed}"]
for name in queue:
    for conclusion, operation, parts, sign, negated in rules:
        if conclusion == name:
            for i in range(len(parts)):
                if parts[i] in leads:
                    if known[name] == sign:
                        print("the rule for", name, "says nothing of", parts[i], "so it is {unknown}")
                    elif operation == "and":
                        print("a part of the rule for", name, "fails, perhaps not", parts[i], "so it is {unknown}")
                    else:
                        known[parts[i]] = negated[i]
                        queue.append(parts[i])
                        print("every part of the rule for", name, "fails, so", parts[i], "is", known[parts[i]])
        if target in known:
            break
    if target in known:
        break
if target not in known:
    print("nothing tells", target, "so it is {unknown}")
print("{final}", known.get(target, "{unknown}"))"""


def _write_abduction(params: Mapping[str, Any]) -> Plan:
    observed, value = params["observed"]
    rules = ",\n".join(f"    {rule}" for rule in params["statements"]).replace("'", '"')
    target = params["asked"]
    prose = (
        f"1. Begin with {observed}, which is {value}.\n2. Take each rule that concludes a name with a known value. If the "
        "value is the one that the rule concludes, the rule says nothing. If it is the other one, the premise is not true: "
        "no part of an OR, and not the part of a NOT, holds; of an AND nothing follows for a single part.\n"
        f"3. Go on with every name whose value follows.\n4. The answer is the value of {target}, or {UNKNOWN}."
    )
    code = _ABDUCTION.format(rules=rules, target=target, observed=observed, value=value, unknown=UNKNOWN, final=FINAL)
    return Plan("A wrong conclusion shows that the premise of its rule is not true.", prose, code)


_WRITERS: dict[str, Callable[[Mapping[str, Any]], Plan | None]] = {
    "arithmetic": _write_tree,
    "bool_logic": _write_tree,
    "linear_equation": _write_equations,
    "deductive_logic": _write_deduction,
    "abductive_logic": _write_abduction,
    "reachability": _write_search,
    "max_sum_path": _write_path_sum,
}
