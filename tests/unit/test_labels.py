"""Datasets are filled by labels: a number's place follows from the names of its dimensions."""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.fast

LIBRARY = Path(__file__).parents[2] / "workflow/finitewidth"


def _below_labels(node):
    """``dataset["name"].values``, which has no labels any more."""
    below = isinstance(node, ast.Attribute) and node.attr in ("values", "data")
    return below and isinstance(node.value, ast.Subscript)


def _by_position(target):
    """Whether an assignment writes to a place that is told by an index."""
    if not isinstance(target, ast.Subscript):
        return False
    parts = target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice]
    looked_up = any(
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "index"
        for part in parts
        for call in ast.walk(part)
    )
    # Two numbers beside each other are places along two dimensions that nobody named.
    numbers = [p for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, int)]
    return looked_up or len(numbers) > 1 or _below_labels(target.value)


def faults(text):
    found = []
    for node in ast.walk(ast.parse(text)):
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AugAssign) else targets
        found += [node.lineno for target in targets if _by_position(target)]
    return found


@pytest.mark.parametrize(
    "line",
    [
        'dataset["alignment"][row, 1, 0, 0, 1:-1] = published',
        'dataset["accuracy"].values[row] = 1',
        "found[p, 1, 0, layer] = cosines(first, second)",
        'exact[TESTS.index("radial"), 0] = LEVEL',
        "values[ORDERS.index(order)] += array",
    ],
)
def test_what_is_written_by_position_is_found(line):
    assert faults(line) == [1]


def test_what_is_written_by_labels_is_not():
    assert not faults('dataset["alignment"].loc[{"order": "published", "layer": 1}] = 2')
    assert not faults('sums["k"] = 1\nx[0] = 2\nx[:, a] = 3')


@pytest.mark.parametrize("room", ["theory/predict", "estimate", "trained", "comparison"])
def test_no_dataset_is_filled_by_position(room):
    found = {
        f"{file.relative_to(LIBRARY)}:{line}"
        for file in (LIBRARY / room).rglob("*.py")
        for line in faults(file.read_text())
    }
    assert not found
