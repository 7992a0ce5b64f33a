"""Stages in their order, each on what it reads, and nothing held for longer than it is read."""

import weakref

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import INPUT
from qtt_hw.lower.execute import execute, formats
from qtt_hw.lower.kinds.add import AddStage
from qtt_hw.lower.kinds.pool import PoolStage
from qtt_hw.lower.stage import Place, Stage
from qtt_hw.quant import ActivationQuantizer
from qtt_hw.window import Window

SHAPE = (1, 1, 1, 2)


def pool(name: str, source: str) -> PoolStage:
    return PoolStage(Place(name, (source,), name, SHAPE), "max", Window())


def stages() -> list[Stage]:
    """A fork at the input and a longer branch: a reads the input, b reads a, c adds b and the input, d reads c."""
    return [
        pool("a", INPUT),
        pool("b", "a"),
        AddStage(Place("c", ("b", INPUT), "c", SHAPE), ActivationQuantizer(5, True)),
        pool("d", "c"),
    ]


class Result:
    """Something that a weak reference can point at."""


def test_every_stage_gets_what_it_reads_in_its_order() -> None:
    def act(stage: Stage, inputs: list[str]) -> str:
        return f"{stage.name}({', '.join(inputs)})"

    found = {stage.name: result for stage, result in execute(stages(), "x", act)}
    assert found == {"a": "a(x)", "b": "b(a(x))", "c": "c(b(a(x)), x)", "d": "d(c(b(a(x)), x))"}


def test_a_result_is_let_go_of_after_its_last_reader() -> None:
    alive: dict[str, weakref.ref[Result]] = {}
    seen = []

    def act(stage: Stage, inputs: list[Result]) -> Result:
        seen.append({name for name, ref in alive.items() if ref() is not None})
        inputs.clear()
        result = Result()
        alive[stage.name] = weakref.ref(result)
        return result

    source = Result()
    alive[INPUT] = weakref.ref(source)
    found = execute(stages(), source, act)
    del source
    names = [stage.name for stage, _ in found]
    assert names == ["a", "b", "c", "d"]
    assert seen == [{INPUT}, {INPUT, "a"}, {INPUT, "b"}, {"c"}]


def test_formats_follow_the_wiring() -> None:
    fmt = Format(3, False, 1)
    found = formats(stages(), fmt)
    assert found[INPUT] == found["a"] == found["b"] == fmt
    assert found["c"] == found["d"] == Format(5, True, 4)
