"""A BUILD folder is whole or absent, its Verilog readable, its manifest the ports' truth."""

import json
import re

import pytest

from rtl_gen.emit import emit
from rtl_gen.families import device
from rtl_gen.manifest import Manifest
from rtl_gen.plan.search import plan


def test_build_folder(network, tmp_path):
    found = plan(network, device("ecp5-25f"))
    manifest = emit(network, tmp_path / "build", found, taps=True)
    names = sorted(p.name for p in (tmp_path / "build").iterdir())
    assert names == sorted(
        [".qtt.json", "design.v", "primitives_sim.v", "primitives_ecp5.v", "model.qtt", "plan.json", "manifest.json"]
        + ["ports.md", "instance.vh", "design.core", "vivado.tcl"]
    )
    text = (tmp_path / "build" / "design.v").read_text()
    ports = re.findall(r"\w+", re.search(r"module qtt_top\(([^)]*)\);", text)[1])
    for tap in manifest.taps:
        assert tap.strobe in ports and tap.payload in ports
    assert {"clk", "rst", "i__payload", "i__valid", "i__ready", "o__payload", "o__valid", "o__ready"} <= set(ports)
    assert f"input [{manifest.input.lanes * manifest.input.lane_bits - 1}:0] i__payload" in text
    assert f"output [{manifest.output.value_bits}:0] o__payload" in text
    for name in ("design.v", "primitives_sim.v", "primitives_ecp5.v"):
        assert "without any condition" in (tmp_path / "build" / name).read_text().splitlines()[0]
    assert "module qtt_top__" in text and "\\qtt_top" not in text
    assert manifest.predicted == found.predicted
    assert not [p for p in tmp_path.iterdir() if p.name != "build"]


def test_a_second_emission_replaces_the_first(network, tmp_path):
    found = plan(network, device("ecp5-25f"))
    assert emit(network, tmp_path / "build", found, taps=True).taps
    assert not emit(network, tmp_path / "build", found).taps


def test_a_folder_that_is_something_else_is_refused_untouched(network, tmp_path):
    (tmp_path / "thesis.txt").write_text("work")
    with pytest.raises(ValueError, match="exists and is not a BUILD folder"):
        emit(network, tmp_path)
    (tmp_path / "manifest.json").write_text('{"name": "my web application", "version": 1}')
    with pytest.raises(ValueError, match="exists and is not a BUILD folder"):
        emit(network, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["manifest.json", "thesis.txt"]


def test_a_document_in_a_build_folder_is_refused_untouched(network, tmp_path):
    found = plan(network, device("ecp5-25f"))
    emit(network, tmp_path / "build", found)
    (tmp_path / "build" / "thesis.txt").write_text("work")
    with pytest.raises(ValueError, match="build/thesis.txt: was not written by qtt, so .*build is not replaced"):
        emit(network, tmp_path / "build", found, taps=True)
    assert (tmp_path / "build" / "thesis.txt").read_text() == "work"
    assert not Manifest.load(tmp_path / "build").taps


@pytest.mark.parametrize("version", [1, 2])
def test_a_folder_without_a_marker_is_replaced(network, tmp_path, version):
    """One from before there were markers, or whose files were copied without it, is known by its manifest."""
    found = plan(network, device("ecp5-25f"))
    emit(network, tmp_path / "build", found)
    (tmp_path / "build" / ".qtt.json").unlink()
    manifest = json.loads((tmp_path / "build" / "manifest.json").read_text())
    (tmp_path / "build" / "manifest.json").write_text(json.dumps(manifest | {"version": version}))
    assert emit(network, tmp_path / "build", found, taps=True).taps


def test_nothing_is_left_behind_when_emission_fails(network, tmp_path, monkeypatch):
    found = plan(network, device("ecp5-25f"))
    monkeypatch.setattr("rtl_gen.emit.save_plan", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        emit(network, tmp_path / "build", found)
    assert list(tmp_path.iterdir()) == []
