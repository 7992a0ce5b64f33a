"""Tables in hardware: every value, every transfer where the event model has it, under stalls too."""

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import INPUT, Edge, Table
from rtl_gen.cycles import schedule
from rtl_gen.families import ECP5
from rtl_gen.kinds import Folding, spec_of
from rtl_gen.top import Top
from sim.stream import transfer


def spec(fmt: Format, out: Format, channels: int, lanes: int, queue: int = 16):
    rng = np.random.default_rng(fmt.bits)
    entries = tuple(rng.integers(out.minimum, out.maximum + 1, 1 << fmt.bits).tolist())
    node = Table("table", (INPUT,), "net", entries, out)
    folding = Folding(simd=lanes, pe=lanes, lanes=lanes, ring=0, queue=queue)
    return spec_of(node, (Edge((2, 3, 2, channels), fmt),), folding, ECP5)


FORMATS = [Format(1, False, 0), Format(4, True, 0), Format(7, False, 0), Format(8, True, 0, narrow=True)]


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize(("lanes", "queue"), [(1, 16), (4, 1), (2, 5)])
@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.4, 0.3)])
def test_equals_golden_in_the_predicted_cycles(words, fmt, lanes, queue, stalls):
    out = Format(5, True, 0)
    stage = spec(fmt, out, 4, lanes, queue)
    x = np.random.default_rng(0).integers(fmt.minimum, fmt.maximum + 1, (6, 2, 3, 2, 4))
    got = transfer(stage.unit(lanes), words[0](x, lanes, fmt), stage.out_words * len(x), stalls=stalls, seed=3)
    assert np.array_equal(words[1](got.words, lanes, out), stage.node.golden((x, stage.inputs[0])).reshape(-1))
    if stalls == (0.0, 0.0):
        top = Top([stage], lanes, taps=True)
        found = schedule([stage], lanes, len(x), classes=48)
        whole = transfer(top, words[0](x, lanes, fmt), 49 * len(x))
        assert list(whole.accepted) == found[0].tolist() and list(whole.produced) == found[-1].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lanes": 3}, "lanes 3 does not divide 4"),
        ({"pe": 1}, "a table has simd and pe 2 like its lanes, carry 1 and ring 0"),
        ({"ring": 8}, "a table has simd and pe 2 like its lanes"),
        ({"queue": 0}, "a queue of 0 words cannot hold one result"),
    ],
)
def test_foldings_that_do_not_fit_are_refused(change, message):
    stage = spec(FORMATS[1], Format(4, False, 0), 4, 2)
    with pytest.raises(ValueError, match=f"^stage table: {message}"):
        spec_of(stage.node, stage.inputs, stage.folding.model_copy(update=change), ECP5)


def test_tables_of_many_entries_go_to_block_ram():
    few, many = (spec(fmt, Format(8, True, 0), 4, 4).resources() for fmt in (FORMATS[1], FORMATS[3]))
    assert few.brams == 0 and many.brams == 4 and 0 < many.luts < few.luts
