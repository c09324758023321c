"""The demonstration's repository: a small kitchen library, its graph, its backlog, and its scripted agents.

Everything in it is real but the agents: real files, real tests, real gates. What each agent will do is
written down here, mistakes and lies included.
"""

from __future__ import annotations

from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COLLEAGUE_TASK = "TASK-0006"
COLLEAGUE_MARK = "colleague-has-committed"

FILES: dict[str, str] = {
    "kitchen/__init__.py": '"""A small library for cooks."""\n',
    "kitchen/units.py": (
        '"""Units of weight, in grams."""\n\nGRAMS = {"g": 1, "kg": 1000}\n\n\n'
        'def grams(amount, unit):\n    """Return *amount* of *unit* in grams."""\n    return amount * GRAMS[unit]\n'
    ),
    "tests/__init__.py": "",
    "tests/test_units.py": (
        "import unittest\n\nfrom kitchen.units import grams\n\n\nclass TestUnits(unittest.TestCase):\n"
        "    def test_a_kilo_is_a_thousand_grams(self):\n        self.assertEqual(grams(1, 'kg'), 1000)\n"
    ),
    "README.md": "# kitchen\n\nA small library for cooks.\n",
    ".gitignore": "__pycache__/\n.gluerun-state/\n.worktrees/\n.gluerun-evidence/\n.gluerun-cache/\n",
}

COLLEAGUE = {
    "kitchen/units.py": FILES["kitchen/units.py"].replace('"kg": 1000}', '"kg": 1000, "t": 1_000_000}'),
}

GRAPH: dict[str, Any] = {
    "schema": "gluerun.orchestration.dag.v0",
    "nodes": [
        {"id": "K1.basics", "stage": "K1", "area": "kitchen", "layer": "core", "kind": "feature", "dependsOn": [],
         "requiredCompletion": "weights, recipes and prices can be computed"},
        {"id": "K2.planning", "stage": "K2", "area": "kitchen", "layer": "core", "kind": "feature",
         "dependsOn": ["K1.basics"], "requiredCompletion": "a week can be planned and shopped for"},
    ],
}  # fmt: skip


@record
class Sample:
    """One task of the backlog: what it asks for, and what its agents will do."""

    task_id: str
    title: str
    objective: str
    module: str
    criteria: tuple[str, ...]
    worker: tuple[dict[str, Any], ...]
    auditor: tuple[dict[str, Any], ...] = ()
    decider: tuple[dict[str, Any], ...] = ()
    needs: tuple[str, ...] = ()
    node: str = "K1.basics"
    shows: str = ""


def _module(name: str, code: str, test: str) -> dict[str, str]:
    """Return a module and its test as an agent writes them."""
    case = "".join(f"        {line}\n" for line in test.splitlines())
    return {
        f"kitchen/{name}.py": f'"""{name.capitalize()}."""\n\n\n{code}',
        f"tests/test_{name}.py": (
            f"import unittest\n\nfrom kitchen import {name}\n\n\nclass Test(unittest.TestCase):\n"
            f"    def test_{name}(self):\n{case}"
        ),
    }


def _honest(summary: str) -> dict[str, Any]:
    return {"status": "needs-review", "summary": summary}


_LIE = {
    "status": "needs-review",
    "summary": "all tests pass",
    "tests": [{"name": "the whole suite", "phase": "green", "status": "passed"}],
    "commands": [{"cmd": "python -m unittest", "exitCode": 0}],
}


def _verdict(verdict: str, rationale: str, *fixes: str) -> dict[str, Any]:
    answer = {"verdict": verdict, "rationale": rationale, "headSha": "HEAD", "nonce": "NONCE"}
    return {"hold": 0.1, "answer": answer | ({"requiredFixes": list(fixes)} if fixes else {})}


def _works(name: str, code: str, test: str, *, hold: float = 0.4) -> dict[str, Any]:
    return {"hold": hold, "write": _module(name, code, test), "answer": _honest(f"wrote {name} and its test")}


_PRICE = "def total(prices):\n    return sum(prices)\n"
_SCALE_WRONG = "def scaled(amounts, factor):\n    return [amount + factor for amount in amounts]\n"
_SCALE_RIGHT = "def scaled(amounts, factor):\n    return [amount * factor for amount in amounts]\n"
_SCALE_TEST = "self.assertEqual(scale.scaled([1, 2], 3), [3, 6])"
_OVEN_WRONG = "def celsius(fahrenheit):\n    return fahrenheit - 32\n"
_OVEN_RIGHT = "def celsius(fahrenheit):\n    return (fahrenheit - 32) * 5 / 9\n"
_OVEN_TEST = "self.assertEqual(oven.celsius(212), 100)"
_TIMER_SHORT = "def clock(minutes):\n    return f'{minutes // 60}:{minutes % 60:02}'\n"
_TIMER_FULL = (
    "def clock(minutes):\n    if minutes < 0:\n        raise ValueError('time does not run back')\n"
    "    return f'{minutes // 60}:{minutes % 60:02}'\n"
)
_POUNDS = FILES["kitchen/units.py"].replace('"kg": 1000}', '"kg": 1000, "lb": 453.592}')
_POUNDS_AND_TONNES = FILES["kitchen/units.py"].replace('"kg": 1000}', '"kg": 1000, "t": 1_000_000, "lb": 453.592}')

SAMPLES: tuple[Sample, ...] = (
    Sample(
        task_id="TASK-0001",
        title="Add up prices",
        objective="A function that adds up a list of prices.",
        module="price",
        criteria=("price.total returns the sum of its argument",),
        worker=(_works("price", _PRICE, "self.assertEqual(price.total([1, 2]), 3)"),),
        shows="works at once",
    ),
    Sample(
        task_id="TASK-0002",
        title="Scale a recipe",
        objective="A function that scales amounts by a factor.",
        module="scale",
        criteria=("scale.scaled multiplies every amount by the factor",),
        worker=(_works("scale", _SCALE_WRONG, _SCALE_TEST), _works("scale", _SCALE_RIGHT, _SCALE_TEST)),
        shows="a red gate, mended in the second try",
    ),
    Sample(
        task_id="TASK-0003",
        title="Show cooking times",
        objective="A function that shows minutes as hours and minutes.",
        module="timer",
        criteria=("timer.clock(75) is 1:15", "negative minutes are refused"),
        worker=(
            _works("timer", _TIMER_SHORT, "self.assertEqual(timer.clock(75), '1:15')"),
            _works(
                "timer",
                _TIMER_FULL,
                "self.assertEqual(timer.clock(75), '1:15')\nwith self.assertRaises(ValueError):\n    timer.clock(-1)",
            ),
        ),
        auditor=(
            _verdict("needs-fix", "one criterion is not met", "negative minutes are not refused"),
            _verdict("accepted", "both criteria are met"),
        ),
        shows="an auditor's finding, repaired",
    ),
    Sample(
        task_id="TASK-0004",
        title="Convert oven temperatures",
        objective="A function from Fahrenheit to Celsius.",
        module="oven",
        criteria=("oven.celsius(212) is 100",),
        worker=(
            {"hold": 0.4, "write": _module("oven", _OVEN_WRONG, _OVEN_TEST), "answer": _LIE},
            _works("oven", _OVEN_RIGHT, _OVEN_TEST),
        ),
        shows="an agent that lies about its tests",
    ),
    Sample(
        task_id="TASK-0005",
        title="Count portions",
        objective="A function that says how many portions a pot holds.",
        module="portions",
        criteria=("portions.count(1000, 250) is 4",),
        worker=(
            _works(
                "portions",
                "def count(total, each):\n    return total // each\n",
                "self.assertEqual(portions.count(1000, 250), 4)",
            ),
        ),
        shows="works at once",
    ),
    Sample(
        task_id=COLLEAGUE_TASK,
        title="Know pounds",
        objective="Pounds among the units of weight.",
        module="units",
        criteria=("grams(1, 'lb') is 453.592",),
        worker=(
            {"until": COLLEAGUE_MARK, "write": {"kitchen/units.py": _POUNDS}, "answer": _honest("pounds are known")},
            {"write": {"kitchen/units.py": _POUNDS_AND_TONNES}, "answer": _honest("kept both sides")},
        ),
        shows="a conflict with a colleague, resolved by a second try",
    ),
    Sample(
        task_id="TASK-0007",
        title="Copy the family cookbook",
        objective="The cookbook's recipes as data.",
        module="cookbook",
        criteria=("the recipes of the cookbook are there",),
        worker=(_works("cookbook", "RECIPES = ['Linzer Torte']\n", "self.assertIn('Linzer Torte', cookbook.RECIPES)"),),
        auditor=(_verdict("needs-human", "may we copy these recipes? The book is in copyright"),),
        decider=(
            {
                "answer": {
                    "failureClass": "audit-needs-human",
                    "action": "escalate-parked",
                    "rationale": "a question of rights is for a person",
                    "nonce": "NONCE",
                }
            },
        ),
        node="",
        shows="a question that only a person can answer: parked",
    ),
    Sample(
        task_id="TASK-0008",
        title="Merge ingredient lists",
        objective="A function that merges two ingredient lists.",
        module="merge",
        criteria=("amounts of the same ingredient are added",),
        worker=(
            _works(
                "merge",
                "from collections import Counter\n\n\ndef merged(one, other):\n"
                "    return dict(Counter(one) + Counter(other))\n",
                "self.assertEqual(merge.merged({'egg': 1}, {'egg': 2}), {'egg': 3})",
            ),
        ),
        shows="works at once",
    ),
    Sample(
        task_id="TASK-0009",
        title="Price a recipe",
        objective="A function that prices a scaled recipe.",
        module="costing",
        criteria=("costing.cost uses price and scale",),
        worker=(
            _works(
                "costing",
                "from kitchen.price import total\nfrom kitchen.scale import scaled\n\n\n"
                "def cost(prices, factor):\n    return total(scaled(prices, factor))\n",
                "self.assertEqual(costing.cost([1, 2], 3), 9)",
            ),
        ),
        needs=("TASK-0001", "TASK-0002"),
        shows="waits for two others",
    ),
)

PLANNED: tuple[Sample, ...] = (
    Sample(
        task_id="TASK-0010",
        title="Plan a week",
        objective="A function that spreads dishes over seven days.",
        module="week",
        criteria=("week.plan gives seven days",),
        worker=(
            _works(
                "week",
                "def plan(dishes):\n    return [dishes[day % len(dishes)] for day in range(7)]\n",
                "self.assertEqual(len(week.plan(['soup', 'stew'])), 7)",
            ),
        ),
        node="K2.planning",
        shows="proposed by the planner",
    ),
    Sample(
        task_id="TASK-0011",
        title="Write a shopping list",
        objective="A function that writes a shopping list, one line each.",
        module="shopping",
        criteria=("one line for each ingredient, sorted",),
        worker=(
            _works(
                "shopping",
                "def lines(amounts):\n    return [f'{name}: {amounts[name]}' for name in sorted(amounts)]\n",
                "self.assertEqual(shopping.lines({'b': 1, 'a': 2}), ['a: 2', 'b: 1'])",
            ),
        ),
        node="K2.planning",
        shows="proposed by the planner",
    ),
    Sample(
        task_id="TASK-0012",
        title="Use up leftovers",
        objective="A function that names what is left over.",
        module="leftovers",
        criteria=("what was bought and not used is left over",),
        worker=(
            _works(
                "leftovers",
                "def left(bought, used):\n    return sorted(set(bought) - set(used))\n",
                "self.assertEqual(leftovers.left(['egg', 'milk'], ['egg']), ['milk'])",
            ),
        ),
        node="K2.planning",
        shows="proposed by the planner",
    ),
)


# What a real program is asked for: small, alike in kind, and each in files of its own.
REAL: tuple[Sample, ...] = (
    Sample(
        task_id="TASK-0001",
        title="Add up prices",
        objective="The module kitchen/price.py has a function `total(prices)` that adds up a list of numbers, and "
        "tests/test_price.py tests it with unittest.",
        module="price",
        criteria=("price.total([1, 2]) is 3", "price.total([]) is 0", "both are tested"),
        worker=(),
        shows="a task for a real agent",
    ),
    Sample(
        task_id="TASK-0002",
        title="Show cooking times",
        objective="The module kitchen/timer.py has a function `clock(minutes)` that shows minutes as hours and "
        "minutes, and tests/test_timer.py tests it with unittest.",
        module="timer",
        criteria=("timer.clock(75) is '1:15'", "negative minutes raise a ValueError", "both are tested"),
        worker=(),
        shows="a second one, at the same time",
    ),
)


def owned(sample: Sample) -> tuple[str, ...]:
    """Return the paths that a task may change."""
    return (f"kitchen/{sample.module}.py", f"tests/test_{sample.module}.py")


def markdown(sample: Sample, *, task_id: str = "") -> str:
    """Return a task as its file reads."""
    lines = [f"# {task_id or sample.task_id}: {sample.title}", "", "Area: kitchen"]
    lines += [f"DAG node: {sample.node}"] if sample.node else []
    lines += [f"Depends on: {', '.join(sample.needs)}"] if sample.needs else []
    lines += ["", "## Objective", "", sample.objective, "", "## Scope", "", "Owned files:"]
    lines += [f"- `{path}`" for path in owned(sample)]
    lines += ["", "## Acceptance Criteria", "", *(f"- {one}" for one in sample.criteria), ""]
    return "\n".join(lines)


def scenario() -> dict[str, Any]:
    """Return what every agent of the demonstration will do, as the scripted runner reads it."""
    accepted = _verdict("accepted", "the criteria are met")
    found: dict[str, Any] = {"*": {"auditor": [accepted]}}
    for sample in (*SAMPLES, *PLANNED):
        moves: dict[str, Any] = {"worker": list(sample.worker)}
        moves |= {"auditor": list(sample.auditor)} if sample.auditor else {}
        moves |= {"decider": list(sample.decider)} if sample.decider else {}
        found[sample.task_id] = moves
    proposal = [
        {"taskId": f"TASK-{9001 + place}", "markdown": markdown(sample, task_id=f"TASK-{9001 + place}")}
        for place, sample in enumerate(PLANNED)
    ]
    found["K2.planning"] = {"planner": [{"hold": 0.3, "answer": {"tasks": proposal}}]}
    return found
