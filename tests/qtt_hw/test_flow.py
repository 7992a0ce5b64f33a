"""The verbs as Python functions, where the command line's tests do not reach."""

from __future__ import annotations

import pytest

from boards.devices import Device
from qtt_hw.flow import plan
from qtt_hw.train.config import Config, ModelConfig, QuantSection
from rtl_gen.plan.search import DoesNotFit


def dense(weight_bits: int) -> Config:
    arguments = {"widths": [24, 24], "strides": [1, 1], "head": "average", "dense": True}
    return Config(model=ModelConfig(name="voxtt", args=arguments), quant=QuantSection(weight_bits=weight_bits))


def test_a_configuration_that_does_not_fit_is_told_with_which_bits_it_would() -> None:
    toy = Device("toy", 28, 5, 40000)
    with pytest.raises(DoesNotFit) as refusal:
        plan(dense(8), toy, input_shape=(1, 8, 8, 8), classes=3)
    line = str(refusal.value)
    assert "does not fit toy (brams 240 % of the usable 5)" in line and "\n" not in line
    fits = plan(dense(4), toy, input_shape=(1, 8, 8, 8), classes=3)
    assert (
        f"with weight_bits = 4 it fits, at {fits.cycles} cycles, {fits.frames_per_second:.0f} frames a second" in line
    )
    with pytest.raises(DoesNotFit):
        plan(dense(5), toy, input_shape=(1, 8, 8, 8), classes=3)
    with pytest.raises(DoesNotFit, match="with weights of 2 bits neither"):
        plan(dense(3), Device("toy", 28, 3, 40000), input_shape=(1, 8, 8, 8), classes=3)
