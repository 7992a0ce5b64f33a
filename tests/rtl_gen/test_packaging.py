"""What lies beside the Verilog names the ports and the files that are there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from rtl_gen.manifest import Manifest, Tap, Wrapper
from rtl_gen.packaging import package
from rtl_gen.wrapper.axi_stream import TOP, wrapper_verilog
from rtl_gen.wrapper.ports import design_ports, wrapper_ports
from sim.icarus import available
from tests.rtl_gen.wrapper.test_interfaces import manifest


def wrapped() -> Manifest:
    return manifest().model_copy(update={"wrapper": Wrapper(kind="axi-stream", top=TOP, source="axi.v")})


def ports_of(text: str, module: str) -> set[tuple[str, int, str]]:
    body = re.search(rf"^module {module}\(.*?^endmodule", text, re.MULTILINE | re.DOTALL)
    assert body is not None
    found = re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", body[0], re.MULTILINE)
    return {(way, int(high or 0) + 1, name) for way, high, name in found}


def test_the_wrapper_has_the_ports_of_the_table() -> None:
    text = wrapper_verilog(wrapped())
    assert ports_of(text, TOP) == {(port.way, port.bits, port.name) for port in wrapper_ports(wrapped())}
    assert "without any condition" in text.splitlines()[0] and "\\qtt_axi" not in text


@pytest.mark.parametrize("made", [manifest(), wrapped()], ids=["bare", "wrapped"])
def test_every_port_is_listed_and_in_the_template(made: Manifest, tmp_path: Path) -> None:
    if not available():
        pytest.skip("Icarus Verilog is missing: apt-get install iverilog")
    texts = package(made)
    tops = {made.top: design_ports(made)} | ({TOP: wrapper_ports(made)} if made.wrapper else {})
    for ports in tops.values():
        for port in ports:
            assert f"| `{port.name}` | {port.way} | {port.bits} |" in texts["ports.md"]
    top, ports = list(tops.items())[-1]
    heads = ", ".join(f"{port.way} [{port.bits - 1}:0] {port.name}" for port in ports)
    outer = "input clk, input rst" if top == made.top else "input aclk, input aresetn"
    (tmp_path / "a.v").write_text(
        f"module {top}({heads});\nendmodule\nmodule a({outer});\n{texts['instance.vh']}endmodule\n"
    )
    done = subprocess.run(["iverilog", "-Wall", "-t", "null", "-s", "a", "a.v"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0 and b"port" not in done.stderr, done.stderr


def test_taps_are_ports() -> None:
    tap = Tap(stage="a b", strobe="tap_s", payload="tap_p", lanes=2, lane_bits=8, signed=False, words=4)
    ports = {port.name: port for port in design_ports(manifest().model_copy(update={"taps": (tap,)}))}
    assert ports["tap_s"].bits == 1 and ports["tap_p"].bits == 16


@pytest.mark.parametrize("made", [manifest(), wrapped()], ids=["bare", "wrapped"])
def test_the_scripts_name_the_files_and_the_top(made: Manifest) -> None:
    texts = package(made)
    files = ["axi.v", "design.v"] if made.wrapper else ["design.v"]
    core = yaml.safe_load(texts["design.core"].partition("\n")[2])
    assert texts["design.core"].startswith("CAPI=2:\n") and re.fullmatch(r"[\w-]+(:[\w.-]+){3}", core["name"])
    assert core["filesets"]["rtl"]["files"] == files
    assert core["targets"]["default"] == {"filesets": ["rtl"], "toplevel": TOP if made.wrapper else "qtt_top"}
    script = texts["vivado.tcl"]
    for file in files:
        assert f"[file join $here {file}]" in script
    assert ("ipx::package_project" in script) == (made.wrapper is not None)
    if shutil.which("tclsh"):
        commands = {word for line in script.splitlines() for word in re.findall(r"^ *([a-z_:]+)|\[([a-z_:]+)", line)}
        names = {name for pair in commands for name in pair} - {"", "set", "file", "expr", "foreach", "list", "info"}
        names -= {"lindex"}
        stubs = "".join(f"proc {name} args {{ return x }}\n" for name in sorted(names))
        spaces = "namespace eval ipx {}\nset argc 0\nset argv {}\n"
        subprocess.run(["tclsh"], input=f"{spaces}{stubs}{script}", text=True, check=True, capture_output=True)
