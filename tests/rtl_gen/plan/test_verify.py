"""Whatever follows from a plan's foldings is computed anew: an edited value is named before anything is written."""

import json
from dataclasses import replace

import pytest

from rtl_gen.emit import emit
from rtl_gen.families import Device, device
from rtl_gen.plan.plan import load_plan, save_plan
from rtl_gen.plan.search import plan
from rtl_gen.plan.verify import verified


@pytest.fixture(scope="module")
def planned(residual):
    return plan(residual, device("ecp5-25f"))


def edited(content, field, value):
    """Change one field of the file's content; the value before."""
    *path, last = (int(name) if name.isdecimal() else name for name in field.split("."))
    for name in path:
        content = content[name]
    before, content[last] = content[last], value
    return before


FIELDS = {
    "input_lanes": None,
    "predicted.intervals.0": None,
    "predicted.ends.0": None,
    "bottleneck": "head",
    "utilization": 0.5,
    "multipliers": None,
    "dsps": None,
    "brams": None,
    "rom_bits": None,
    "stages.0.cycles": None,
    "stages.2.rom_bits": None,
    "fifos.0.least": None,
    "fifos.0.depth": None,
    "fifos.0.width": None,
    "fifos.0.brams": None,
    "fifos.0.input": 0,
}


@pytest.mark.parametrize("field", FIELDS)
def test_an_edited_value_is_named_with_both(residual, planned, tmp_path, field):
    content = json.loads(planned.model_dump_json())
    for name in ("cycles", "latency"):
        del content[name]
    del content["predicted"]["mean"]
    value = FIELDS[field]
    if value is None:
        value = edited(content, field, 0) + 1
    before = edited(content, field, value)
    assert before != value
    path = tmp_path / "edited.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError) as refused:
        emit(residual, tmp_path / "build", path)
    text = str(refused.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    assert field.split(".")[-1] in text.split(": the plan says")[0] or field.split(".")[0] in text
    assert str(value) in text
    assert ("does not divide the input's 2 channels" if field == "input_lanes" else "of the model it is") in text
    assert not (tmp_path / "build").exists()


def test_a_plan_as_it_was_made_is_what_it_says(residual, planned, tmp_path):
    assert verified(residual, planned) == planned
    save_plan(planned, tmp_path / "plan.json")
    manifest = emit(residual, tmp_path / "build", tmp_path / "plan.json")
    assert (manifest.version, manifest.predicted) == (2, planned.predicted)
    assert (tmp_path / "build" / "plan.json").read_bytes() == (tmp_path / "plan.json").read_bytes()


def test_estimates_are_those_of_today(residual, planned, tmp_path):
    """What a plan was thought to cost when it was made does not make it another."""
    content = json.loads(planned.model_dump_json())
    for name in ("luts", "ffs", "link_luts", "link_ffs"):
        content[name] += 7
    content["stages"][0]["luts"] += 7
    for name in ("cycles", "latency"):
        del content[name]
    (tmp_path / "plan.json").write_text(json.dumps(content))
    emit(residual, tmp_path / "build", tmp_path / "plan.json")
    assert load_plan(tmp_path / "build" / "plan.json") == planned


@pytest.mark.parametrize("version", [1, 2])
def test_a_plan_of_an_older_version_becomes_one_of_this(residual, planned, tmp_path, version):
    """Its costs and times are not compared, what has not changed since is."""
    content = json.loads(planned.model_dump_json())
    content |= {"version": version, "luts": content["luts"] + 5, "cycles": content["cycles"], "latency": 5}
    del content["ffs"], content["link_ffs"]
    for part in (*content["stages"], *content["fifos"]):
        del part["ffs"]
    content["predicted"]["latency"] = content["predicted"]["ends"][0]
    if version == 1:
        del content["predicted"], content["link_luts"]
    else:
        del content["latency"], content["predicted"]["latency"]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(content))
    assert emit(residual, tmp_path / "build", path).predicted == planned.predicted
    assert load_plan(tmp_path / "build" / "plan.json") == planned
    path.write_text(json.dumps(content | {"dsps": content["dsps"] + 1}))
    with pytest.raises(ValueError, match=r"old\.json: dsps: the plan says \d+, of the model it is \d+"):
        emit(residual, tmp_path / "other", path)


def test_flip_flops_must_fit_the_device_too(residual, planned, monkeypatch):
    monkeypatch.setattr(
        "rtl_gen.plan.verify.device", lambda name: Device(name, dsps=100, brams=100, luts=100_000, ffs=9)
    )
    with pytest.raises(ValueError, match=rf"^the plan: device: it takes {planned.ffs} ffs, ecp5-25f has 9; plan again"):
        verified(residual, planned)


def test_a_plan_of_another_model_is_named(residual, planned, network, tmp_path):
    save_plan(planned, tmp_path / "plan.json")
    with pytest.raises(ValueError, match=r"plan\.json: model: it is a plan of residual, not of small"):
        emit(network, tmp_path / "build", tmp_path / "plan.json")
    renamed = replace(network, name="residual")
    with pytest.raises(ValueError, match=r"plan\.json: the plan does not belong to residual: it has no stage pool"):
        emit(renamed, tmp_path / "build", tmp_path / "plan.json")
    assert not (tmp_path / "build").exists()


def test_an_edited_plan_in_python_is_named_too(residual, planned, tmp_path):
    with pytest.raises(ValueError, match=r"^the plan: dsps: the plan says 99, of the model it is"):
        emit(residual, tmp_path / "build", planned.model_copy(update={"dsps": 99}))


def test_a_plan_is_for_a_known_family_which_its_device_is_of(residual, planned, tmp_path):
    assert planned.family == "ecp5"
    with pytest.raises(ValueError, match="^the plan: family 'xc9' is not known; known are ecp5, ice40, gowin, generic"):
        verified(residual, planned.model_copy(update={"family": "xc9"}))
    save_plan(planned, tmp_path / "p.json")
    content = json.loads((tmp_path / "p.json").read_text())
    del content["family"]  # as version 1 has it
    (tmp_path / "p.json").write_text(json.dumps(content))
    assert verified(residual, load_plan(tmp_path / "p.json")) == planned


def test_a_plan_fits_the_device_that_it_names(residual, planned, monkeypatch):
    with pytest.raises(ValueError, match="^the plan: device 'zz' is not known; known are "):
        verified(residual, planned.model_copy(update={"device": "zz"}))
    monkeypatch.setattr("rtl_gen.plan.verify.device", lambda name: Device(name, dsps=100, brams=100, luts=10))
    with pytest.raises(ValueError, match=r"^the plan: device: it takes \d+ luts, ecp5-25f has 10; plan again"):
        verified(residual, planned)


@pytest.mark.parametrize("clock", [0.0, 1e-300, 987654.0])
def test_a_clock_that_no_design_has_is_refused(planned, tmp_path, clock):
    save_plan(planned, tmp_path / "p.json")
    content = json.loads((tmp_path / "p.json").read_text())
    (tmp_path / "p.json").write_text(json.dumps(content | {"clock_mhz": clock}))
    with pytest.raises(ValueError, match=r"p\.json: clock_mhz: Input should be "):
        load_plan(tmp_path / "p.json")
