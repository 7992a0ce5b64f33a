"""Options of the data sources that convert files, checked, and the optional packages that these need."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qtt_hw.errors import one_line

__all__ = [
    "ArrayOptions",
    "FlowOptions",
    "MatOptions",
    "MeshOptions",
    "Option",
    "SolidsOptions",
    "VideoOptions",
    "parse_options",
    "require",
]

#: A value of an option, as TOML or a command line gives it.
Option = int | float | str | bool


class _Options(BaseModel):
    # Strict: "30" is no number, and true is not 1.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ArrayOptions(_Options):
    """Of arrays: the order of their axes, such as NCDHW; told from the sizes where only one is plausible."""

    axes: str | None = None


class SolidsOptions(_Options):
    """Of generated solids: voxels along each edge, classes, training volumes a class."""

    edge: int = Field(default=16, le=128)
    classes: int = 6
    per_class: int = Field(default=200, le=100_000)


class MeshOptions(_Options):
    """Of .off meshes: voxels along each edge, empty ones on every side of the object, what counts as inside."""

    edge: int = Field(default=30, ge=4, le=256)
    padding: int = Field(default=3, ge=0)
    fill: Literal["orthographic", "holes", "none"] = "orthographic"
    rotations: Literal[1, 12] = 1
    corrupt: Literal["refuse", "skip"] = "refuse"


class MatOptions(_Options):
    """Of .mat volumes of 30^3: the edge that they are padded to with empty voxels."""

    edge: int = Field(default=30, ge=30, le=256)
    rotations: Literal[1, 12] = 1
    corrupt: Literal["refuse", "skip"] = "refuse"


class FlowOptions(_Options):
    """Of optical flow in place of RGB: steps of a byte for one pixel of motion."""

    fold: int | None = Field(default=None, ge=0)
    flow: bool = False
    flow_scale: float = Field(default=32.0, gt=0)


class VideoOptions(FlowOptions):
    """Of video clips: their size, which frames, and what becomes of a video that is too short or unreadable."""

    frames: int = Field(default=50, ge=1, le=4096)
    height: int = Field(default=30, ge=1, le=4096)
    width: int = Field(default=40, ge=1, le=4096)
    sampling: Literal["consecutive", "spread"] = "consecutive"
    short: Literal["repeat", "refuse"] = "repeat"
    clips_per_video: int = Field(default=1, ge=1, le=1024)
    corrupt: Literal["refuse", "skip"] = "refuse"


_Model = TypeVar("_Model", bound=_Options)


def parse_options(model: type[_Model], options: Mapping[str, Option], where: str) -> _Model:
    """The options as a model of that type.

    Raises
    ------
    ValueError
        One line that names the source and every option that is unknown, of another type or out of range.
    """
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        raise one_line(error, where, model) from None


def require(module: str, purpose: str) -> Any:
    """A module of the optional dependencies `data`.

    Raises
    ------
    ValueError
        One line with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        name = module.partition(".")[0]
        raise ValueError(f"{purpose} needs {name}: pip install 'qtt-hw[data]'") from None
