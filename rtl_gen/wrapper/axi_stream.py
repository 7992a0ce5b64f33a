"""A design between AXI4-Stream and AXI4-Lite: packets of one sample in, packets of one answer out, registers beside."""

from __future__ import annotations

from amaranth.back import verilog
from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Instance, Module, Mux, ResetSignal, Signal

from rtl_gen.manifest import Manifest
from rtl_gen.verilog_text import finished
from rtl_gen.wrapper.bank import RegisterBank
from rtl_gen.wrapper.ports import wrapper_ports
from rtl_gen.wrapper.registers import constants

__all__ = ["TOP", "AxiStream", "wrapper_verilog"]

#: Name of the wrapper's module.
TOP = "qtt_axi"
#: Cycles for which a reset holds the design, and then those in which its units fill their own pipelines.
RESET, SETTLE = 4, 18
#: Bits of the numbers of samples inside: far more than fit.
_NUMBER = 16
#: What Vivado is told of ports.
_ATTRIBUTES = {
    "aclk": {"X_INTERFACE_PARAMETER": "ASSOCIATED_BUSIF s_axis:m_axis:s_axi, ASSOCIATED_RESET aresetn"},
    "aresetn": {"X_INTERFACE_PARAMETER": "POLARITY ACTIVE_LOW"},
}


class AxiStream(Elaboratable):
    """The module around a design.

    A word of the design is a word of the bus, in its low bits; results are extended with their sign to whole bytes. The
    ends of packets are checked against those of samples, and a packet that is too short or too long makes one answer
    all the same, marked by tuser: the sample behind it begins with the next packet.

    Nothing stands between the streams and the design's own but gates, so that inferences take the predicted cycles.
    """

    def __init__(self, manifest: Manifest):
        self.manifest = manifest
        self.ports = {
            port.name: Signal(port.bits, name=port.name, attrs=_ATTRIBUTES.get(port.name))
            for port in wrapper_ports(manifest)
        }
        self.bank = RegisterBank(self.ports, constants(manifest))
        # One a line: Amaranth names a signal after what it is assigned to.
        self.running = Signal()  # no reset is under way
        self.taken = Signal()  # a word by the design
        self.first = Signal()  # it is a sample's first
        self.last = Signal()
        self.faulty = Signal()  # the sample at the input
        self.ends = Signal()  # an answer's last word leaves
        self.answered = Signal(32)  # samples
        self.busy = Signal()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ports, bank = self.ports, self.bank
        m.domains.sync = ClockDomain()
        m.d.comb += [ClockSignal("sync").eq(ports["aclk"]), ResetSignal("sync").eq(~ports["aresetn"])]
        m.submodules.registers = bank
        soft_reset = bank.written["CONTROL", "SOFT_RESET"]
        m.d.comb += bank.clear.eq(soft_reset)

        held = Signal(range(RESET + SETTLE + 1), init=RESET + SETTLE)
        restart = Signal(init=1)
        m.d.comb += self.running.eq(held == 0)
        m.d.sync += restart.eq(held > SETTLE)
        with m.If(soft_reset):
            m.d.sync += held.eq(RESET + SETTLE)
        with m.Elif(~self.running):
            m.d.sync += held.eq(held - 1)

        given = Signal(self.manifest.input.bits)
        offered = Signal()
        ready = Signal()
        answer = Signal(self.manifest.output.bits)
        valid = Signal()
        m.submodules.design = Instance(
            self.manifest.top,
            i_clk=ClockSignal("sync"),
            i_rst=restart,
            i_i__payload=given,
            i_i__valid=offered,
            o_i__ready=ready,
            o_o__payload=answer,
            o_o__valid=valid,
            i_o__ready=ports["m_axis_tready"] & self.running,
        )
        cleared = [
            *self._input(m, given, offered, ready),
            *self._samples(m),
            *self._output(m, answer, valid),
        ]
        with m.If(soft_reset):
            m.d.sync += [register.eq(0) for register in cleared]
        return m

    def _input(self, m: Module, given: Signal, offered: Signal, ready: Signal) -> list[Signal]:
        """Packets to words of samples; the registers that a soft reset clears, here and below."""
        ports, value = self.ports, self.bank.value
        valid, last = ports["s_axis_tvalid"], ports["s_axis_tlast"]
        word = Signal(range(max(self.manifest.input.words, 2)))
        filling = Signal()
        dropping = Signal()
        pending = Signal(32)
        admitted = Signal()
        accepted = Signal()
        m.d.comb += [
            self.first.eq(word == 0),
            self.last.eq(word == self.manifest.input.words - 1),
            admitted.eq(self.running & ~dropping & (~self.first | value["CONTROL", "FREE_RUN"] | (pending != 0))),
            offered.eq(filling | (valid & admitted)),
            given.eq(Mux(filling, 0, ports["s_axis_tdata"])),
            ports["s_axis_tready"].eq(self.running & (dropping | (ready & admitted & ~filling))),
            self.taken.eq(offered & ready),
            accepted.eq(self.taken & ~filling),
        ]
        early = value["ERRORS", "EARLY"]
        late = value["ERRORS", "LATE"]
        keep = value["ERRORS", "KEEP"]
        m.d.comb += [
            early.eq(accepted & last & ~self.last),
            late.eq(accepted & ~last & self.last & ~value["CONTROL", "BATCHES"]),
            keep.eq(accepted & ~ports["s_axis_tkeep"].all()),
            self.faulty.eq(early | late | keep),
        ]
        with m.If(self.taken):
            m.d.sync += [word.eq(Mux(self.last, 0, word + 1)), filling.eq((filling | early) & ~self.last)]
        with m.If(late):
            m.d.sync += dropping.eq(1)
        with m.Elif(valid & last):
            m.d.sync += dropping.eq(0)
        spent = Signal()
        m.d.comb += spent.eq(self.taken & self.first & ~value["CONTROL", "FREE_RUN"])
        m.d.sync += pending.eq(pending + self.bank.written["START", ""] - spent)
        m.d.comb += [
            value["START", ""].eq(pending),
            value["STATUS", "RESETTING"].eq(~self.running),
            value["STATUS", "FILLING"].eq(filling),
            value["STATUS", "DROPPING"].eq(dropping),
        ]
        return [word, filling, dropping, pending]

    def _samples(self, m: Module) -> list[Signal]:
        """How many have begun and are answered, and how long the last one took."""
        value = self.bank.value
        begun = Signal(_NUMBER)
        begins = Signal()
        m.d.comb += [begins.eq(self.taken & self.first), self.busy.eq(begun != self.answered[:_NUMBER])]
        m.d.sync += [begun.eq(begun + begins), self.answered.eq(self.answered + self.ends)]
        count = Signal(32)
        cycles = Signal(32)
        with m.If(self.ends | (begins & ~self.busy)):
            m.d.sync += count.eq(1)
        with m.Else():
            m.d.sync += count.eq(count + 1)
        with m.If(self.ends):
            m.d.sync += cycles.eq(count)
        m.d.comb += [
            value["STATUS", "BUSY"].eq(self.busy),
            value["SAMPLES", ""].eq(self.answered),
            value["CYCLES", ""].eq(cycles),
        ]
        return [begun, self.answered, count, cycles]

    def _output(self, m: Module, answer: Signal, valid: Signal) -> list[Signal]:
        """Answers to packets. Those to samples `bad_first` to `bad_last` are marked, a sound one between them, too."""
        ports = self.ports
        answered = self.answered[:_NUMBER]
        entered = Signal(_NUMBER)
        bad = Signal()
        bad_first = Signal(_NUMBER)
        bad_last = Signal(_NUMBER)
        behind = Signal(_NUMBER)  # negative where the answer, which needed none of the words that lack, has left
        over = Signal()
        m.d.comb += [behind.eq(entered - answered - self.ends), over.eq(self.ends & (answered == bad_last))]
        m.d.sync += entered.eq(entered + (self.taken & self.last))
        with m.If(self.faulty & ~behind[-1]):
            m.d.sync += [bad.eq(1), bad_last.eq(entered)]
            with m.If(~bad | over):
                m.d.sync += bad_first.eq(entered)
        with m.Elif(over):
            m.d.sync += bad.eq(0)
        number = Signal(_NUMBER)
        most = Signal(_NUMBER)
        # What is offered stays as it is until it is taken, though a word that it did not need turns out faulty.
        mark = Signal()
        waiting = Signal()
        marked = Signal()
        m.d.comb += mark.eq(Mux(waiting, marked, bad & (number <= most)))
        m.d.sync += [waiting.eq(ports["m_axis_tvalid"] & ~ports["m_axis_tready"]), marked.eq(mark)]
        m.d.comb += [
            number.eq(answered - bad_first),
            most.eq(bad_last - bad_first),
            ports["m_axis_tdata"].eq(answer[: self.manifest.output.value_bits].as_signed()),
            ports["m_axis_tkeep"].eq(~0),
            ports["m_axis_tlast"].eq(answer[-1]),
            ports["m_axis_tuser"].eq(mark),
            ports["m_axis_tvalid"].eq(valid & self.running),
            self.ends.eq(valid & self.running & ports["m_axis_tready"] & answer[-1]),
        ]
        return [entered, bad, waiting]


def wrapper_verilog(manifest: Manifest) -> str:
    """Verilog of the wrapper, without the design's own."""
    top, ports = AxiStream(manifest), [port.name for port in wrapper_ports(manifest)]
    text = verilog.convert(
        top,
        name=TOP,
        ports=[top.ports[name] for name in ports],
        platform=object(),
        emit_src=False,
        strip_internal_attrs=True,
    )
    return finished(text, TOP)
