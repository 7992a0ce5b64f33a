from pathlib import Path

import pytest

from bench import datapath
from boards.synthesis import synthesise
from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Graph
from rtl_gen.emit import TOP, emit
from rtl_gen.families import ECP5, device
from rtl_gen.plan.derive import derived
from rtl_gen.plan.hardware import stage_specs
from rtl_gen.plan.plan import Plan
from rtl_gen.plan.search import plan
from tests.replay.networks import NETWORKS


def synthesised(graph: Graph, chosen: Plan, multiplier: str, folder: Path) -> dict[str, int]:
    """Cells of a network whose products are all formed by lanes of one kind."""
    changed = {"multiplier": multiplier}
    foldings = [(stage.stage, stage.folding.model_copy(update=changed)) for stage in chosen.stages]
    other = derived(graph, stage_specs(graph, foldings, ECP5), chosen.device, chosen.clock_mhz)
    manifest = emit(graph, folder / "build", other)
    (folder / "netlist").mkdir()
    return synthesise([folder / "build" / name for name in manifest.sources.of(ECP5)], TOP, folder / "netlist", ECP5)


def test_escaped_names_with_an_index_are_not_taken_for_bits(tmp_path: Path) -> None:
    """ABC9 of pyosys fails an assertion where a wire x of several bits stands beside one that is called x[1]."""
    adders = "".join(f"    wire [7:0] \\x[{n}] = a + {n + 3};\n" for n in range(4))
    (tmp_path / "top.v").write_text(
        "module top(input [7:0] a, input [31:0] b, output [7:0] y);\n"
        f"    wire [31:0] x = b ^ {{4{{a}}}};\n{adders}"
        "    assign y = (\\x[0] & x[7:0]) ^ (\\x[1] | x[15:8]) ^ (\\x[2] & x[23:16]) ^ (\\x[3] | x[31:24]);\n"
        "endmodule\n"
    )
    cells = synthesise([tmp_path / "top.v"], "top", tmp_path, ECP5)
    assert cells["LUT4"] > 0
    assert "_at_1" in (tmp_path / "netlist.json").read_text()
    assert (tmp_path / "top.v").read_text().count("x[1]") == 2, "the source is as it was"


@pytest.mark.long
@pytest.mark.parametrize("name", ["voxels-in-blocks", "weights-3", "weights-8"])
def test_lanes_in_luts_are_synthesised(name: str, tmp_path: Path) -> None:
    graph = NETWORKS[name]()
    cells = synthesised(graph, plan(graph, device("ecp5-85f"), fps=100), "logic", tmp_path)
    assert cells["CCU2C"] > 0 and cells["TRELLIS_FF"] > 0


@pytest.mark.long
def test_wide_stages_of_4_bits_in_luts_are_synthesised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage of `bench.datapath`'s W1, 32 products a cycle, and its head."""
    monkeypatch.setattr(datapath, "WEIGHTS", Format(4, True, 4, narrow=True))
    graph, chosen = datapath.WORKLOADS["W1"].planned()
    cells = synthesised(graph, chosen, "logic", tmp_path)
    assert cells["MULT18X18D"] == 1, "of the requantiser alone"
