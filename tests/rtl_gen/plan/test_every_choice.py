"""Every choice of a [quant] section ends in hardware, or is refused when the configuration is read."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from amaranth.back import rtlil
from amaranth.hdl import Value
from torch import nn

from qtt_hw import QTTConv3d
from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Graph, golden
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.lower.freeze import freeze
from qtt_hw.lower.prepare import prepare
from qtt_hw.training.sections import QuantSection
from rtl_gen.families import ECP5, device
from rtl_gen.plan.hardware import stage_specs
from rtl_gen.plan.lanes import with_lanes
from rtl_gen.plan.plan import Plan
from rtl_gen.plan.search import plan
from rtl_gen.top import Top
from sim.stream import exchange

SHAPE = (1, 2, 3, 2)
UNSIGNED, SIGNED = Format(8, False, 8), Format(8, True, 7)
BITS = range(2, 9)
CODEBOOKS = (None, "dqc", "sqc", "inq", "kmeans")


def sections() -> list[dict[str, Any]]:
    """Codebooks, code widths and zeros in every combination; with each the other choices, in turn."""
    found: list[dict[str, Any]] = []
    turn = itertools.count()
    for codebook, bits, zero in itertools.product(CODEBOOKS, BITS, (False, True)):
        k = next(turn)
        found.append(
            {
                **({} if codebook is None else {"codebook": codebook}),
                "weight_bits": bits,
                "zero": zero,
                "activation_bits": BITS[k % 7],
                "intermediate_bits": BITS[(k + 3) % 7],
                "first_weight_bits": (None, 2, 6, 8)[k % 4],
                "last_weight_bits": (None, 6, 2)[k % 3],
                "logit_bits": (16, 2, 8)[k % 3],
                "gradient": ("scaled", "straight")[k % 2] if codebook in ("dqc", "sqc") else "scaled",
            }
        )
    for bits, activation_bits, scales in itertools.product((2, 5, 8), (2, 8), ("learned", "fixed")):
        found.append({"tt_form": "merged", "weight_bits": bits, "activation_bits": activation_bits, "scales": scales})
    return found


def refused(options: dict[str, Any]) -> str | None:
    """Why the configuration is refused when it is read."""
    try:
        QuantSection(**options)
    except ValueError as error:
        return str(error)
    return None


def graph_of(options: dict[str, Any], fmt: Format) -> tuple[Graph, np.ndarray]:
    """A calibrated network of every kind of weights as integers, and samples of the input's extremes and others."""
    torch.manual_seed(3)
    net = nn.Sequential(
        *(nn.Conv3d(2, 4, (1, 2, 2), bias=False), nn.BatchNorm3d(4), nn.ReLU()),
        *(QTTConv3d(4, 4, (2, 2), (2, 2), 2, kernel_size=(1, 1, 2)), nn.BatchNorm3d(4), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(4, 3)),
    )
    d, h, w, c = SHAPE
    samples = np.random.default_rng(5).integers(fmt.minimum, fmt.maximum + 1, (6, d, h, w, c))
    samples[0], samples[1] = fmt.minimum, fmt.maximum
    x = torch.from_numpy(samples).permute(0, 4, 1, 2, 3).float() * 2.0**-fmt.frac
    prepared = prepare(net.eval(), x, QuantSection(**options).quantisation, fmt)
    prepared.calibrate([x])
    prepared.freeze_scales()
    prepared.freeze_statistics([x])
    graph = freeze(prepared.eval(), input_spec(SHAPE, format=fmt))
    logits = golden.run(graph, samples)[graph.nodes[-1].name].reshape(len(samples), -1)
    assert np.array_equal(prepared(x).numpy() * 2.0**graph.output.format.frac, logits)
    return graph, samples


def top_of(graph: Graph, chosen: Plan) -> Top:
    specs = stage_specs(graph, [(stage.stage, stage.folding) for stage in chosen.stages], ECP5)
    return Top(specs, chosen.input_lanes, taps=True)


def test_what_is_refused_is_refused_when_it_is_read() -> None:
    texts = {}
    for options in sections():
        coded = options.get("codebook")
        widest = max(options.get(f"{which}weight_bits") or 0 for which in ("", "first_", "last_"))
        impossible = coded in ("dqc", "sqc", "inq") and widest > 6
        impossible |= options.get("zero", False) and coded not in ("dqc", "sqc")
        text = refused(options)
        assert (text is not None) == impossible, (options, text)
        texts[text] = options
    assert len(texts) > 3
    for bits in (1, 9):
        assert refused({"weight_bits": bits}) and refused({"activation_bits": bits})


@pytest.mark.parametrize("codebook", CODEBOOKS)
def test_every_choice_is_planned_and_the_widest_elaborates(codebook: str | None) -> None:
    of_codebook = [options for options in sections() if options.get("codebook") == codebook]
    possible = [options for options in of_codebook if refused(options) is None]
    assert len(possible) >= 3
    for number, options in enumerate(possible):
        graph, _ = graph_of(options, (UNSIGNED, SIGNED)[number % 2])
        top = top_of(graph, plan(graph, device("ecp5-12f"), fps=100_000))
        if options["weight_bits"] == max(each["weight_bits"] for each in possible):
            assert "qtt_top" in rtlil.convert(top, name="qtt_top", platform=object())


@pytest.mark.parametrize(
    ("options", "fmt", "lanes"),
    [
        ({"codebook": "dqc", "weight_bits": 6}, SIGNED, "shift"),
        ({"codebook": "dqc", "weight_bits": 6}, UNSIGNED, "dsp"),
        ({"codebook": "sqc", "weight_bits": 6, "zero": True, "activation_bits": 2}, UNSIGNED, "shift"),
        ({"codebook": "inq", "weight_bits": 6, "last_weight_bits": 2, "logit_bits": 2}, SIGNED, "logic"),
        ({"codebook": "kmeans", "weight_bits": 2, "first_weight_bits": 8}, UNSIGNED, "shift"),
        ({"tt_form": "merged", "weight_bits": 8, "scales": "fixed"}, SIGNED, "shift"),
        ({"weight_bits": 2, "activation_bits": 2, "intermediate_bits": 2}, UNSIGNED, "shift"),
    ],
)
def test_the_corners_are_equal_in_simulation(options: dict[str, Any], fmt: Format, lanes: Any) -> None:
    graph, x = graph_of(options, fmt)
    chosen = with_lanes(graph, plan(graph, device("ecp5-12f"), fps=2_000_000), lanes)
    top = top_of(graph, chosen)
    port = graph.input.edge.format
    mask = (1 << port.bits) - 1
    words = [
        sum((int(v) & mask) << (port.bits * i) for i, v in enumerate(row)) for row in x.reshape(-1, chosen.input_lanes)
    ]
    taps = [getattr(top, f"tap_{name}") for name in top.names[:-1]]
    _, received = exchange(top, [(top.i, words)], [(top.o, 4 * len(x))], taps=taps)
    expected = golden.run(graph, x, intermediates=True)
    for spec, found in zip(top.specs, received[1:], strict=True):
        bits, count = spec.out.format.bits, spec.folding.lanes
        values = np.array([word >> (bits * i) & ((1 << bits) - 1) for word in found.words for i in range(count)])
        assert np.array_equal(values, expected[spec.node.name].ravel() & ((1 << bits) - 1)), spec.node.name
    logits = expected[graph.nodes[-1].name].reshape(len(x), -1)
    bits = Value.cast(top.o.payload.value).shape().width
    wanted = np.append(logits, logits.argmax(axis=1)[:, None], axis=1) & ((1 << bits) - 1)
    wanted[:, -1] |= 1 << bits
    assert np.array_equal(received[0].words, wanted.ravel())
