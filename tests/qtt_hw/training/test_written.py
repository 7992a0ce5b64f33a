"""A configuration written as TOML reads as the same one."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from qtt_hw.quant.config import LayerBits
from qtt_hw.training.config import Config, config_from, load_config
from qtt_hw.training.written import files_of, layers_text, toml_text

MODELS = Path(__file__).parents[3] / "models"


def assert_same(config: Config) -> None:
    again = config_from(tomllib.loads(toml_text(config)), "again", config.source)
    assert again == config
    assert again.data.model_fields_set >= {"validation"}


@pytest.mark.parametrize("path", sorted(MODELS.glob("*[!0-9].toml")), ids=lambda path: path.stem)
def test_committed_configurations(path: Path) -> None:
    if not path.stem.startswith("queue"):
        assert_same(load_config(path))


def test_every_kind_of_value_and_name() -> None:
    content = {
        "model": {
            "name": "net.py:Net",
            "args": {"text": 'a "b" \\ \n é \x7f', "list": [1, [2.5, 1e-7]], "flag": True, "a.b": {"é": 1}},
            "ranks": {"features.0": [2, 3]},
            "weights": "w.safetensors",
            "mean": [0.5],
            "std": [0.25],
        },
        "data": {"options": {"edge": 8}},
        "teacher": {"run": "../other"},
        "compress": {},
        "quant": {"layers": {"features.0": {"weight_bits": 3}, "head": {"activation_bits": 6, "weight_bits": 8}}},
    }
    config = config_from(content, "given")
    assert_same(config)
    assert files_of(config) == ["net.py", "w.safetensors", "../other"]
    text = toml_text(config)
    assert '[quant]\n\n[quant.layers]\n"features.0" = { weight_bits = 3 }\nhead = {' in text


def test_the_layers_alone_are_a_part_of_a_configuration() -> None:
    layers = {"features.0": LayerBits(weight_bits=3), "1": LayerBits(activation_bits=5)}
    text = layers_text(layers)
    assert text == '[quant.layers]\n"features.0" = { weight_bits = 3 }\n1 = { activation_bits = 5 }\n'
    config = config_from(tomllib.loads('[model]\nname = "voxtt"\n' + text), "given")
    assert config.quant is not None and config.quant.layers == layers
