"""The verbs as Python functions, where the command line's tests do not reach."""

from __future__ import annotations

import numpy as np
import pytest

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Graph
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.planning import plan
from qtt_hw.training.config import Config
from qtt_hw.training.sections import ModelConfig, QuantSection
from qtt_hw.window import Window
from rtl_gen.families import Device
from rtl_gen.plan.search import DoesNotFit


def dense(weight_bits: int) -> Config:
    arguments = {"widths": [24, 24], "strides": [1, 1], "head": "average", "dense": True}
    return Config(model=ModelConfig(name="voxtt", args=arguments), quant=QuantSection(weight_bits=weight_bits))


def test_a_configuration_that_does_not_fit_is_told_with_which_bits_it_would() -> None:
    toy = Device("toy", 28, 8, 40000)
    with pytest.raises(DoesNotFit) as refusal:
        plan(dense(8), toy, input_shape=(1, 8, 8, 8), classes=3)
    line = str(refusal.value)
    assert "does not fit toy (brams 138 % of the usable 8)" in line and "\n" not in line
    fits = plan(dense(5), toy, input_shape=(1, 8, 8, 8), classes=3)
    assert (
        f"with weight_bits = 5 it fits, at {fits.cycles} cycles, {fits.frames_per_second:.0f} frames a second" in line
    )
    with pytest.raises(DoesNotFit):
        plan(dense(6), toy, input_shape=(1, 8, 8, 8), classes=3)
    with pytest.raises(DoesNotFit, match="with weights of 2 bits neither, nor with activations of 2 bits"):
        plan(dense(3), Device("toy", 28, 2, 2000), input_shape=(1, 8, 8, 8), classes=3)


def test_lanes_of_codebooks_can_multiply_in_the_same_plan() -> None:
    """The planned design with multipliers in the shifts' place; nothing changes where there are no codebooks."""
    graph = coded(Codebook.of_top(4, False, 0))
    shifted, multiplied = (plan(graph, "ecp5-25f", fps=1000, lanes=lanes) for lanes in ("shift", "dsp"))
    assert (multiplied.cycles, multiplied.brams) == (shifted.cycles, shifted.brams)
    assert shifted.multipliers == 0 < multiplied.multipliers == multiplied.dsps - shifted.dsps
    uniform = coded(Format(4, True, 0, narrow=True))
    assert plan(uniform, "ecp5-25f", fps=1000, lanes="logic") == plan(uniform, "ecp5-25f", fps=1000)
    with pytest.raises(ValueError, match=r"^lanes dsp: is for a model.qtt, a configuration is planned with shifts$"):
        plan(dense(4), input_shape=(1, 8, 8, 8), classes=3, lanes="dsp")


def coded(weight_format: Format | Codebook) -> Graph:
    """One contraction of a vector."""
    weight = as_integers(np.ones((3, 1, 1, 1, 8)))
    node = Contraction("mix", (INPUT,), "mix", Window(), weight, weight_format, Requantizer(Format(8, True, 0), 4))
    return Graph("coded", input_spec((1, 1, 1, 8), format=Format(8, False, 0)), (node,))
