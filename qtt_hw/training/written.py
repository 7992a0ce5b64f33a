"""A configuration written as a TOML file, which reads as the same one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qtt_hw.quant.config import LayerBits
from qtt_hw.training.config import Config

__all__ = ["files_of", "layers_text", "toml_text"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def files_of(config: Config) -> list[str]:
    """The files that a configuration names relative to its own folder."""
    model, teacher = config.model, config.teacher
    found = [model.name.rpartition(":")[0] if ".py:" in model.name else None, model.weights]
    found += [] if teacher is None else teacher.runs
    return [name for name in found if name is not None and not Path(name).is_absolute()]


def toml_text(config: Config) -> str:
    """The configuration; what has its default is left out, but for what the data would decide."""
    content = config.model_dump(mode="json", exclude_defaults=True)
    content.setdefault("data", {})["validation"] = config.data.validation
    parts = []
    for section, values in content.items():
        layers = values.pop("layers", None) if section == "quant" else None
        parts.append("\n".join([f"[{section}]", *(f"{_key(key)} = {_value(value)}" for key, value in values.items())]))
        if layers:
            assert config.quant is not None
            parts.append(layers_text(config.quant.layers).rstrip("\n"))
    return "\n\n".join(parts) + "\n"


def layers_text(layers: Mapping[str, LayerBits]) -> str:
    """Bits by layer as the table that a configuration has them in."""
    rows = [f"{_key(name)} = {_value(bits.given)}" for name, bits in layers.items()]
    return "\n".join(["[quant.layers]", *rows]) + "\n"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(value: str) -> str:
    # TOML's basic strings have JSON's escapes, and want DEL escaped too.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(name)} = {_value(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return _text(value) if isinstance(value, str) else json.dumps(value)
