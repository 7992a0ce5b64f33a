"""The board's top level: PLL, serial link and the accelerator, as Verilog beside the design's own."""

from __future__ import annotations

from amaranth.back import verilog
from amaranth.hdl import Cat, ClockDomain, ClockSignal, Elaboratable, Instance, Module, ResetSignal, Signal

from boards.board import Board
from boards.clock import divisor_of
from boards.link import Link, bytes_of
from qtt_hw.errors import named
from rtl_gen.families import device
from rtl_gen.host_queue import LARGEST, bytes_of_pause, queue_bytes
from rtl_gen.manifest import Manifest

__all__ = ["BoardTop", "board_verilog", "receiver_queue"]

#: Name of the top module.
TOP = "board_top"


def receiver_queue(manifest: Manifest, divisor: int) -> int:
    """Depth of the queue for what comes while the accelerator may pause; raises ValueError when that is too much."""
    needed = bytes_of_pause(manifest.predicted, divisor)
    if needed > LARGEST:
        raise ValueError(f"the link needs {needed} bytes of queue, {LARGEST} are the most; lower the baud rate")
    return queue_bytes(needed)


class BoardTop(Elaboratable):
    """Ports clk, rx, tx, led and the board's held-high pins; `led` shows lock, traffic and overrun."""

    def __init__(self, board: Board, manifest: Manifest, clock_mhz: float):
        self.board, self.manifest = board, manifest
        with named(board.name):
            self.pll = board.pll.setting(board.oscillator_mhz, clock_mhz)
            divisor = divisor_of(clock_mhz, board.baud)
        lanes, port = manifest.input, manifest.output
        self.in_bits, self.out_bits = lanes.lanes * lanes.lane_bits, port.value_bits + 1
        self.link = Link(
            divisor=divisor,
            in_bits=self.in_bits,
            out_bits=self.out_bits,
            queue=receiver_queue(manifest, divisor),
            family=board.family,
        )
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
        reset, restart = Signal(init=1), Signal(init=1)
        m.submodules.link = link = self.link
        m.d.start += [
            settled.eq((settled << 1) | locked),
            reset.eq(~settled[1]),
            restart.eq(~settled[1] | link.restart),
        ]
        m.d.comb += ResetSignal("sync").eq(reset)
        m.submodules.accelerator = Instance(
            self.manifest.top,
            i_clk=ClockSignal("sync"),
            i_rst=restart,
            i_i__payload=link.o.payload,
            i_i__valid=link.o.valid,
            o_i__ready=link.o.ready,
            o_o__payload=link.i.payload,
            o_o__valid=link.i.valid,
            i_o__ready=link.i.ready,
        )
        m.d.comb += [link.rx.eq(self.rx), self.tx.eq(link.tx)]
        shown = Cat(settled[1], link.overrun, ~self.rx | ~self.tx)[: len(self.led)]
        m.d.comb += self.led.eq(~shown if self.board.leds_low else shown)
        m.d.comb += [pin.eq(1) for pin in self.high]
        return m


def board_verilog(top: BoardTop) -> str:
    """Verilog of the top level; the accelerator's own is in the BUILD folder."""
    return verilog.convert(top, name=TOP, ports=top.ports, platform=object(), emit_src=False, strip_internal_attrs=True)


def sample_bytes(manifest: Manifest) -> tuple[int, int]:
    """Bytes of one sample to the board, and of its answer."""
    to_board = bytes_of(manifest.input.lanes * manifest.input.lane_bits) * manifest.input.words
    return to_board, bytes_of(manifest.output.value_bits + 1) * manifest.output.words
