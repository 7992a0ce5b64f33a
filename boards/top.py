"""The board's top level: PLL, serial link and the accelerator, as Verilog beside the design's own."""

from __future__ import annotations

import hashlib

from amaranth.back import verilog
from amaranth.hdl import Cat, ClockDomain, ClockSignal, Elaboratable, Instance, Module, ResetSignal, Signal

from boards.board import Board
from boards.clock import divisor_of
from boards.link import Link
from boards.protocol import Identity
from qtt_hw.errors import named
from rtl_gen.families import Device, device, family_of
from rtl_gen.host_link import beside_buffer, buffered_words
from rtl_gen.manifest import Manifest

__all__ = ["BoardTop", "board_verilog", "build_digest", "identity_of"]

#: Name of the top module.
TOP = "board_top"


def build_digest(manifest: Manifest) -> bytes:
    """What tells a BUILD from another of the same model, 8 bytes: of its words and its predicted cycles."""
    input, output, predicted = manifest.input, manifest.output, manifest.predicted
    facts = (
        *(manifest.digest, input.lanes, input.lane_bits, input.signed, input.words, output.value_bits, output.words),
        *(predicted.ends, predicted.intervals),
    )
    return hashlib.sha256(repr(facts).encode()).digest()[:8]


def identity_of(manifest: Manifest, target: Device, clock_mhz: float, brams: int) -> Identity:
    """What a board with this BUILD, whose design takes so many block RAMs, says of itself."""
    bits, words, output = manifest.input.bits, manifest.input.words, manifest.output
    family = family_of(target)
    link = beside_buffer(bits, output.bits, output.words, family)
    depth = buffered_words(bits, words, family.memory, target.brams, brams + link.brams)
    return Identity(
        whole=depth == words,
        in_bits=bits,
        in_words=words,
        out_bits=output.bits,
        out_words=output.words,
        buffer_words=depth,
        clock_khz=round(1000 * clock_mhz),
        build=build_digest(manifest),
        model=bytes.fromhex(manifest.digest),
    )


class BoardTop(Elaboratable):
    """Ports clk, rx, tx, led and the board's held-high pins; `led` shows lock, a broken frame, and traffic.

    Parameters
    ----------
    board : Board
    manifest : Manifest
    clock_mhz : float
    brams : int
        Block RAMs of the design: a sample is held whole in what it leaves.
    divisor : int, optional
        Clock cycles of a bit on the line; by default those of the board's baud rate.
    """

    def __init__(
        self, board: Board, manifest: Manifest, clock_mhz: float, *, brams: int = 0, divisor: int | None = None
    ):
        self.board, self.manifest = board, manifest
        with named(board.name):
            self.pll = board.pll.setting(board.oscillator_mhz, clock_mhz)
            divisor = divisor_of(clock_mhz, board.baud) if divisor is None else divisor
        target = device(board.device)
        self.divisor, self.identity = divisor, identity_of(manifest, target, clock_mhz, brams)
        self.link = Link(divisor=divisor, identity=self.identity, family=board.family)
        # One a line: Amaranth names a signal after what it is assigned to.
        self.clk = Signal()
        self.rx = Signal(init=1)
        self.tx = Signal(init=1)
        self.led = Signal(board.leds)
        self.high = [Signal(name=name) for name in board.high]

    @property
    def ports(self) -> list[Signal]:
        return [self.clk, self.rx, self.tx, self.led, *self.high]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = ClockDomain()
        locked = Signal()
        m.submodules.pll = self.board.pll.instance(
            *(self.pll, self.board.oscillator_mhz, device(self.board.device).part),
            oscillator=self.clk,
            clock=ClockSignal("sync"),
            locked=locked,
        )
        settled = Signal(2)
        m.domains.start = start = ClockDomain(reset_less=True)
        m.d.comb += start.clk.eq(ClockSignal("sync"))
        # Both resets are registers of their own: what they reset lies all over the device.
        reset = Signal(init=1)
        m.submodules.link = link = self.link
        m.d.start += [settled.eq((settled << 1) | locked), reset.eq(~settled[1])]
        m.d.comb += ResetSignal("sync").eq(reset)
        m.submodules.accelerator = Instance(
            self.manifest.top,
            i_clk=ClockSignal("sync"),
            i_rst=link.restart,
            i_i__payload=link.o.payload,
            i_i__valid=link.o.valid,
            o_i__ready=link.o.ready,
            o_o__payload=link.i.payload,
            o_o__valid=link.i.valid,
            i_o__ready=link.i.ready,
        )
        m.d.comb += [link.rx.eq(self.rx), self.tx.eq(link.tx)]
        shown = Cat(settled[1], link.fault, ~self.rx | ~self.tx)[: len(self.led)]
        m.d.comb += self.led.eq(~shown if self.board.leds_low else shown)
        m.d.comb += [pin.eq(1) for pin in self.high]
        return m


def board_verilog(top: BoardTop) -> str:
    """Verilog of the top level; the accelerator's own is in the BUILD folder."""
    return verilog.convert(top, name=TOP, ports=top.ports, platform=object(), emit_src=False, strip_internal_attrs=True)
