"""Every reader gets every word once and in order, at its own time, and the input waits for the slowest."""

import pytest
from amaranth.hdl import Module, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl_gen.fork import Fork
from sim.stream import exchange

WORDS = [(17 * i + 3) % 256 for i in range(60)]


@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.4, 0.7)])
@pytest.mark.parametrize("readers", [2, 3])
def test_every_reader_gets_every_word(stalls, readers):
    fork = Fork(8, readers)
    (accepted,), got = exchange(fork, [(fork.i, WORDS)], [(port, len(WORDS)) for port in fork.o], stalls=stalls)
    assert [list(one.words) for one in got] == [WORDS] * readers
    # A word is offered to all at once, and taken in the cycle in which the last of them takes it.
    assert list(accepted) == [max(cycles) for cycles in zip(*(one.cycles for one in got), strict=True)]
    if stalls == (0.0, 0.0):
        assert list(accepted) == list(range(len(WORDS)))


class _Unequal(wiring.Component):
    """A fork whose second reader is never ready when the first one is."""

    def __init__(self) -> None:
        word = stream.Signature(unsigned(8))
        super().__init__({"i": In(word), "o": Out(word), "late": Out(word)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.fork = fork = Fork(8, 2)
        wiring.connect(m, wiring.flipped(self.i), fork.i)
        for port, to in ((fork.o[0], self.o), (fork.o[1], self.late)):
            m.d.comb += [to.valid.eq(port.valid), to.payload.eq(port.payload)]
        m.d.comb += [fork.o[0].ready.eq(self.o.ready), fork.o[1].ready.eq(self.late.ready & ~self.o.ready)]
        return m


def test_no_reader_waits_for_another():
    dut = _Unequal()
    with pytest.raises(AssertionError, match="hangs after 0 words in and 1 out"):
        exchange(dut, [(dut.i, WORDS)], [(dut.o, len(WORDS))], patience=100)


def test_a_fork_has_two_readers():
    with pytest.raises(ValueError, match="at least two readers, not 1"):
        Fork(8, 1)
