"""The manifest is read as written, and a fault in it is named with its file and field."""

import json
import shutil
from pathlib import Path

import pytest

from rtl_gen.emit import emit
from rtl_gen.families import device
from rtl_gen.manifest import Manifest
from rtl_gen.plan.search import plan
from rtl_gen.prediction import Prediction


@pytest.fixture(scope="module")
def build(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("manifest") / "build"
    emit(network, folder, plan(network, device("ecp5-12f")), taps=True)
    return folder


def test_a_manifest_is_read(build: Path) -> None:
    manifest = Manifest.load(build)
    assert manifest.input.words * manifest.input.lanes == 6 * 6 * 6 * 4
    assert (manifest.output.words, manifest.output.bits) == (6, 17)
    assert [tap.stage for tap in manifest.taps][:2] == ["conv", "pool"]


def test_version_1_is_read_with_its_one_interval(build: Path, tmp_path: Path) -> None:
    whole = json.loads((build / "manifest.json").read_text())
    shutil.copytree(build, tmp_path, dirs_exist_ok=True)
    old = whole | {"version": 1, "predicted": {"interval": 9, "latency": 8}}
    (tmp_path / "manifest.json").write_text(json.dumps(old))
    found = Manifest.load(tmp_path)
    assert (found.version, found.predicted) == (1, Prediction(ends=(8,), intervals=(9,)))
    (tmp_path / "manifest.json").write_text(json.dumps(whole | {"predicted": {"interval": 9.5, "latency": 8}}))
    with pytest.raises(ValueError, match=r"manifest\.json: predicted\.intervals\.0: Input should be a valid integer"):
        Manifest.load(tmp_path)


def test_faults_name_the_file_and_the_field(build: Path, tmp_path: Path) -> None:
    whole = json.loads((build / "manifest.json").read_text())

    def written(content: object) -> Path:
        (tmp_path / "manifest.json").write_text(json.dumps(content))
        return tmp_path

    with pytest.raises(ValueError, match=r"manifest\.json: input\.lanes: .*greater than or equal to 1, got 0$"):
        Manifest.load(written({**whole, "input": {**whole["input"], "lanes": 0}}))
    with pytest.raises(ValueError, match=r"manifest\.json: version 3 was written by a newer qtt-hw; this one"):
        Manifest.load(written({**whole, "version": 3}))
    with pytest.raises(ValueError, match=r"manifest\.json: colour: is not known"):
        Manifest.load(written({**whole, "colour": "blue"}))
    with pytest.raises(ValueError, match=r"manifest\.json: names design\.v, which is not there$"):
        Manifest.load(written(whole))
    with pytest.raises(ValueError, match=r"manifest\.json: 'version' is given twice$"):
        written(whole)
        (tmp_path / "manifest.json").write_text('{"version": 1, "version": 1}')
        Manifest.load(tmp_path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../other.v", "", ".", "..", "a/b.v", "a\\b.v", 'a".v', "a\nb.v"])
@pytest.mark.parametrize("field", ["simulation", "ecp5", "model", "plan"])
def test_files_are_plain_names(build: Path, tmp_path: Path, field: str, name: str) -> None:
    content = json.loads((build / "manifest.json").read_text())
    if field in content:
        content[field] = name
    else:
        content["sources"][field][0] = name
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"manifest\.json: .*{field}.*: must be a plain name of a file in the folder"):
        Manifest.load(tmp_path)


def test_a_link_out_of_the_folder_is_refused(build: Path, tmp_path: Path) -> None:
    folder, outside = tmp_path / "build", tmp_path / "outside.v"
    shutil.copytree(build, folder)
    (folder / "design.v").rename(folder / "other.v")
    (folder / "design.v").symlink_to("other.v")
    (tmp_path / "linked").symlink_to(folder)
    assert Manifest.load(folder) == Manifest.load(tmp_path / "linked") == Manifest.load(build)
    for name in ("design.v", "primitives_ecp5.v", "model.qtt", "plan.json"):
        kept = (folder / name).read_bytes()
        outside.write_bytes(kept)
        (folder / name).unlink()
        (folder / name).symlink_to(outside)
        with pytest.raises(ValueError, match=f"names {name}, which is a link out of the folder$"):
            Manifest.load(folder)
        (folder / name).unlink()
        (folder / name).write_bytes(kept)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"top": "qtt_top (); endmodule //"}, "top: String should match pattern"),
        ({"digest": "0"}, "digest: String should match pattern"),
        ({"input": {"lanes": 10**12, "lane_bits": 1, "signed": False, "words": 1}}, "input.lanes: "),
        ({"input": {"lanes": 1 << 22, "lane_bits": 1, "signed": False, "words": 1 << 22}}, "values are the most"),
        ({"input": {"lanes": True, "lane_bits": 1, "signed": False, "words": 1}}, "input.lanes: Input should"),
        ({"predicted": {"interval": -1, "latency": 0}}, "predicted.ends.0: "),
    ],
)
def test_ports_have_bounds(build: Path, tmp_path: Path, change: dict, message: str) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(json.loads((build / "manifest.json").read_text()) | change))
    with pytest.raises(ValueError) as refused:
        Manifest.load(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / 'manifest.json'}: ") and message in str(refused.value)


def test_a_source_that_is_named_twice_is_refused(build: Path, tmp_path: Path) -> None:
    content = json.loads((build / "manifest.json").read_text())
    content["sources"]["simulation"] *= 2
    shutil.copytree(build, tmp_path, dirs_exist_ok=True)
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"manifest\.json: sources\.simulation: names a file twice$"):
        Manifest.load(tmp_path)
