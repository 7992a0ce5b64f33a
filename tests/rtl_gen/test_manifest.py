"""The manifest is read as written, and a fault in it is named with its file and field."""

import json
from pathlib import Path

import pytest

from rtl_gen.emit import emit
from rtl_gen.families import device
from rtl_gen.manifest import Manifest
from rtl_gen.plan.search import plan


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


def test_faults_name_the_file_and_the_field(build: Path, tmp_path: Path) -> None:
    whole = json.loads((build / "manifest.json").read_text())

    def written(content: object) -> Path:
        (tmp_path / "manifest.json").write_text(json.dumps(content))
        return tmp_path

    with pytest.raises(ValueError, match=r"manifest\.json: input\.lanes: .*greater than or equal to 1, got 0$"):
        Manifest.load(written({**whole, "input": {**whole["input"], "lanes": 0}}))
    with pytest.raises(ValueError, match=r"manifest\.json: version: Input should be 1, got 2$"):
        Manifest.load(written({**whole, "version": 2}))
    with pytest.raises(ValueError, match=r"manifest\.json: colour: Extra inputs are not permitted"):
        Manifest.load(written({**whole, "colour": "blue"}))
    with pytest.raises(ValueError, match=r"design\.v: named by the manifest, but not there$"):
        Manifest.load(written(whole))
