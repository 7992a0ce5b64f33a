"""Calls of `qtt` in a test's own process, and the network, configuration and user's file that they are made with."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

from qtt_hw.cli import main

OPTIONS = "options = { edge = 8, classes = 3, per_class = 20 }\n"


TOML = """
[model]
name = "voxtt"
args = { widths = [4, 4], strides = [2, 1], ranks = 2, head = "average" }
[data]
block = 2
OPTIONS[train]
epochs = 1
batch = 16
threads = 1
[quant]
epochs = 1
batch = 16
calibration = 1
reestimate = 1
""".replace("OPTIONS", OPTIONS)


NET = """
from torch import nn
class Plain(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 27, 2))
class Bent(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv3d(1, 4, 3), nn.Softmax(1), nn.Flatten(), nn.Linear(4 * 27, 2))
"""


class Ran(NamedTuple):
    """What a call of `qtt` left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


class Qtt:
    """`qtt` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Ran:
        self._capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Ran(code, *self._capsys.readouterr())

    def refuses(self, *arguments: object, code: int = 1) -> str:
        """The single line of a call that must fail."""
        ran = self(*arguments)
        assert ran.code == code and ran.out == ""
        err = "".join(line for line in ran.err.splitlines(keepends=True) if not line.startswith("qtt: data: "))
        assert err.startswith("qtt: ") and err.count("\n") == 1 and err.endswith("\n")
        return err.strip()

    def json(self, *arguments: object) -> dict:
        """The object that a call prints with --json."""
        ran = self(*arguments, "--json")
        assert ran.code == 0, ran.err
        assert ran.out.count("\n") == 1
        found = json.loads(ran.out)
        assert isinstance(found, dict)
        return found
