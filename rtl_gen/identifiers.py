"""Verilog identifiers and file names from the names that users give to layers and networks: any text, however strange.

A stage is called after its layer, so its name may be a keyword, hold any character, or equal another one's once dots
are replaced. Everything in the hardware that carries a stage's name takes it from `identifiers`, and everything on
disk that carries a network's from `file_name`; beside both, the manifest keeps the true names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from itertools import count

__all__ = ["KEYWORDS", "RESERVED", "file_name", "identifiers"]

#: Of Verilog and SystemVerilog, IEEE 1800-2017, annex B.
KEYWORDS = frozenset(
    """
    accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before begin bind bins
    binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class clocking cmos config const
    constraint context continue cover covergroup coverpoint cross deassign default defparam design disable dist do edge
    else end endcase endchecker endclass endclocking endconfig endfunction endgenerate endgroup endinterface endmodule
    endpackage endprimitive endprogram endproperty endsequence endspecify endtable endtask enum event eventually expect
    export extends extern final first_match for force foreach forever fork forkjoin function generate genvar global
    highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies import incdir include initial inout input
    inside instance int integer interconnect interface intersect join join_any join_none large let liblist library local
    localparam logic longint macromodule matches medium modport module nand negedge nettype new nexttime nmos nor
    noshowcancelled not notif0 notif1 null or output package packed parameter pmos posedge primitive priority program
    property protected pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase
    randsequence rcmos real realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0
    rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal showcancelled
    signed small soft solve specify specparam static string strong strong0 strong1 struct super supply0 supply1
    sync_accept_on sync_reject_on table tagged task this throughout time timeprecision timeunit tran tranif0 tranif1
    tri tri0 tri1 triand trior trireg type typedef union unique unique0 unsigned until until_with untyped use uwire var
    vectored virtual void wait wait_order wand weak weak0 weak1 while wildcard wire with within wor xnor xor
    """.split()
)
#: What the top module calls its own: its ports, the fork of its input, and the argmax.
RESERVED = ("clk", "rst", "i", "o", "input", "argmax")
#: Longer identifiers end in a digest: with those of units and signals behind them the standard grants 1024 characters.
LONGEST = 512
#: The same for file names, of which file systems take 255 bytes.
LONGEST_FILE = 200


def identifiers(names: Sequence[str]) -> list[str]:
    """An identifier for each stage of a network: legal Verilog, and unlike every other in more than case.

    A name that is one, with `_` for every dot, stays as it is. Keywords, the top's own names and what does not begin
    with a letter get `stage_` in front. What clashes with an earlier stage's loses its double underscores, and then
    gets a number; so a stage that is added at the end changes none before it.

    The units, modules and signals of a stage X are called X__..., its ports tap_X__...: where one name begins with
    another and `__`, the two clash as well.

    Parameters
    ----------
    names : sequence of str
        In the order of the stages.
    """
    taken, legal = _Taken(RESERVED), list[str]()
    for name in names:
        chosen = next(candidate for candidate in _candidates(name) if taken.free(candidate))
        taken.add(chosen)
        legal.append(chosen)
    return legal


def _candidates(name: str) -> Iterator[str]:
    """Identifiers for a name, the nearest to it first; without end, and all but the first free of `__`."""
    text = _shortened(re.sub(r"[^A-Za-z0-9_]", "_", name), name, LONGEST)
    yield _legal(text)
    plain = _legal(re.sub("_+", "_", text).strip("_"))
    yield plain
    for number in count(2):
        yield f"{plain}_{number}"


def _legal(text: str) -> str:
    """Letters, digits and underscores as an identifier."""
    begins = re.match("[A-Za-z_]", text)
    if begins and text not in KEYWORDS and text.lower() not in RESERVED:
        return text
    return f"stage_{text}" if text else "stage"


def _shortened(text: str, name: str, longest: int) -> str:
    """ASCII text; where it is too long, its beginning and a digest of the name that it was made of."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return text if len(text) <= longest else f"{text[: longest - len(digest) - 1]}_{digest}"


class _Taken:
    """Names in use, each with everything that begins with it and `__`; case does not tell them apart."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names, self._before = set(names), set[str]()

    def add(self, stage: str) -> None:
        """Take what a stage of this name uses."""
        for root in _roots(stage):
            self._names.add(root)
            self._before.update(_before(root))

    def free(self, stage: str) -> bool:
        """Whether nothing that a stage of this name uses is in use."""
        return all(
            root not in self._names and root not in self._before and self._names.isdisjoint(_before(root))
            for root in _roots(stage)
        )


def _roots(stage: str) -> tuple[str, str]:
    """What the names of a stage's units and of its ports begin with."""
    return stage.lower(), f"tap_{stage.lower()}"


def _before(name: str) -> list[str]:
    """What stands before each `__` of a name."""
    return [name[: found.start()] for found in re.finditer("(?=__)", name)]


def file_name(name: str) -> str:
    """A file's name, still without a suffix, for a network of any name: within its folder, visible and not too long.

    Letters, digits, `.`, `-` and `_` stay as they are; anything else becomes `_`.
    """
    text = re.sub(r"[^\w.-]", "_", name)
    if len(text.encode()) > LONGEST_FILE:
        text = _shortened(re.sub(r"[^\w.-]", "_", name, flags=re.ASCII), name, LONGEST_FILE)
    return f"_{text.lstrip('.')}" if not text or text.startswith(".") else text
