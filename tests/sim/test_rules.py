"""Every engine finds every rule of the streams broken, and says the same of it."""

import re
from typing import Any, get_args

import pytest

from sim.cosim import Engine, cosim
from sim.icarus import available

ENGINES = [
    pytest.param(engine, marks=pytest.mark.skipif(not available(), reason="Icarus Verilog is missing"))
    if engine == "icarus"
    else engine
    for engine in get_args(Engine)
    if engine != "axi"  # which drives a wrapper
]
#: By what the first integer of the first sample breaks: samples, stalls, and what is said.
BROKEN = {
    "none": (3, False, None),
    "fell": (3, ("none", "mostly"), r"^cycle \d+: o__valid fell before a transfer$"),
    "changed": (3, ("none", "mostly"), r"^cycle \d+: o__payload changed while o__valid = 1 and o__ready = 0$"),
    "deadlock": (5, False, r"^deadlock: no transfer after cycle 24, 2 of 5 samples came out$"),
    "surplus": (1, False, r"^cycle 9: an output word more than 1 samples make$"),
    "left": (1, False, r"^1 of 6 input words were never taken$"),
}


@pytest.mark.parametrize(
    "engine", [pytest.param(engine, marks=pytest.mark.long) if engine == "cocotb" else engine for engine in ENGINES]
)
def test_a_broken_rule_is_found(small_build: Any, engine: Engine) -> None:
    for mode, (rule, (count, stalls, said)) in enumerate(BROKEN.items()):
        x = small_build.samples(count)
        x.flat[0] = mode
        result = cosim(small_build(rules=True), x, engine=engine, stalls=stalls, seed=3)
        if said is None:
            assert result.equal and result.cycles_equal, rule
        else:
            assert not result.equal and re.search(said, str(result.failure)), (rule, result.failure)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_design_prints_is_not_mixed_with_what_it_computes(
    small_build: Any, engine: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[tuple[object, ...]] = []
    result = cosim(
        small_build(chatty=True),
        small_build.samples(3),
        engine=engine,
        progress=lambda *report, **_: told.append(report),
    )
    assert result.equal and result.cycles_equal
    assert told[-1] == ("simulating", 3, 3)
    assert capfd.readouterr().out == ""
