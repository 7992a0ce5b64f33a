import json
from pathlib import Path
from typing import Any

import pytest

from sim.manifest import Manifest


def test_a_manifest_is_read(small_build: Any) -> None:
    manifest = Manifest.load(small_build())
    assert (manifest.input.bits, manifest.output.bits, manifest.taps[0].bits) == (12, 17, 16)


def test_faults_name_the_file_and_the_field(small_build: Any, tmp_path: Path) -> None:
    whole = json.loads((small_build() / "manifest.json").read_text())

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
