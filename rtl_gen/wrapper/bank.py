"""The registers of the map behind an AXI4-Lite subordinate: the decoding follows from the table alone."""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Signal, Value

from rtl_gen.wrapper.ports import AXI_LITE
from rtl_gen.wrapper.registers import ADDRESS_BITS, REGISTERS, Field, Register

__all__ = ["RegisterBank"]


class RegisterBank(Elaboratable):
    """One access at a time; data 32 bits wide, every access answered OKAY, outside of the map with 0.

    Parameters
    ----------
    ports : mapping of str to Signal
        Of the bus, AXI_LITE, by name.
    constants : mapping of str to int
        Values of the registers that never change.

    Attributes
    ----------
    value : dict of (str, str) to Signal
        By register and field, "" for a whole register: what the hardware says of a field that is read only or added to,
        what is kept of one that is written; of a w1c field, set in the cycles in which the hardware sets it.
    written : dict of (str, str) to Signal
        Of w1 fields: 1 for one cycle. Of those that are added to: what is added in this cycle, mostly 0.
    clear : Signal
        Clears all w1c fields, also what is set in that cycle.
    """

    def __init__(self, ports: Mapping[str, Signal], constants: Mapping[str, int]):
        self.ports, self.constants = {port.name: ports[port.name] for port in AXI_LITE}, dict(constants)
        self.value: dict[tuple[str, str], Signal] = {}
        self.written: dict[tuple[str, str], Signal] = {}
        self.clear = Signal()
        for register, field in _fields():
            key, name = (register.name, field.name), _name(register, field)
            if register.name in self.constants:
                continue
            self.value[key] = Signal(field.bits, name=name, init=field.reset)
            if field.access in ("w1", "add"):
                self.written[key] = Signal(field.bits, name=f"{name}_written")

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = {name.removeprefix("s_axi_"): port for name, port in self.ports.items()}
        address = Signal(ADDRESS_BITS)
        data = Signal(32)
        mask = Signal(32)
        has_address = Signal()
        has_data = Signal()
        write = Signal()
        m.d.comb += [
            p["awready"].eq(~has_address),
            p["wready"].eq(~has_data),
            p["arready"].eq(~p["rvalid"]),
            p["bresp"].eq(0),
            p["rresp"].eq(0),
            write.eq(has_address & has_data & (~p["bvalid"] | p["bready"])),
        ]
        m.d.sync += [
            has_address.eq(Mux(has_address, ~write, p["awvalid"])),
            has_data.eq(Mux(has_data, ~write, p["wvalid"])),
            p["bvalid"].eq(write | (p["bvalid"] & ~p["bready"])),
            p["rvalid"].eq(Mux(p["rvalid"], ~p["rready"], p["arvalid"])),
        ]
        with m.If(~has_address):
            m.d.sync += address.eq(p["awaddr"])
        with m.If(~has_data):
            m.d.sync += [data.eq(p["wdata"]), mask.eq(Cat(bit.replicate(8) for bit in p["wstrb"]))]
        sticky: dict[tuple[str, str], Signal] = {}
        for register, field in _fields():
            self._write(m, register, field, write & (address[2:] == register.offset >> 2), data, mask, sticky)
        with m.If(~p["rvalid"]):
            m.d.sync += p["rdata"].eq(0)
            with m.Switch(p["araddr"][2:]):
                for register in REGISTERS:
                    with m.Case(register.offset >> 2):
                        m.d.sync += p["rdata"].eq(self._read(register, sticky))
        return m

    def _write(
        self,
        m: Module,
        register: Register,
        field: Field,
        here: Value,
        data: Signal,
        mask: Signal,
        sticky: dict[tuple[str, str], Signal],
    ) -> None:
        """What a write does to a field."""
        key, bits = (register.name, field.name), slice(field.low, field.low + field.bits)
        given = (data & mask)[bits]
        if field.access == "rw":
            with m.If(here):
                m.d.sync += self.value[key].eq((self.value[key] & ~mask[bits]) | given)
        elif field.access == "w1c":
            sticky[key] = kept = Signal(field.bits, name=f"{_name(register, field)}_kept")
            m.d.sync += kept.eq(Mux(self.clear, 0, (kept & ~Mux(here, given, 0)) | self.value[key]))
        elif field.access in ("w1", "add"):
            m.d.comb += self.written[key].eq(Mux(here, given, 0))

    def _read(self, register: Register, sticky: Mapping[tuple[str, str], Signal]) -> Value:
        if register.name in self.constants:
            return Const(self.constants[register.name], 32)
        parts: list[Value] = []
        bits = 0
        for field in register.fields:
            key = (register.name, field.name)
            shown = Const(0, field.bits) if field.access == "w1" else sticky.get(key, self.value[key])
            parts += [Const(0, field.low - bits), shown]
            bits = field.low + field.bits
        return Cat(*parts)


def _fields() -> list[tuple[Register, Field]]:
    return [(register, field) for register in REGISTERS for field in register.fields]


def _name(register: Register, field: Field) -> str:
    return "_".join(filter(None, (register.name, field.name))).lower()
