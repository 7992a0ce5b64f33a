"""Plans fit their device, reach their frame rate, say what is missing, and predict what the stages need."""

import numpy as np
import pytest

from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Contraction, Edge, Graph, InputSpec, Pool
from qtt_hw.window import Window
from rtl_gen.cycles import predict
from rtl_gen.families import ECP5, Device, device
from rtl_gen.plan.hardware import hardware_of, stage_specs
from rtl_gen.plan.limits import usable
from rtl_gen.plan.plan import load_plan, save_plan
from rtl_gen.plan.search import along, plan


def within(found, target):
    budgets = {name: getattr(target, name) for name in usable(ECP5)}
    return all(b is None or getattr(found, name) <= b * usable(ECP5)[name] for name, b in budgets.items())


@pytest.mark.parametrize("name", ["ecp5-12f", "ecp5-25f", "ecp5-85f"])
def test_fits_the_device_and_predicts_by_the_event_model(network, name):
    found = plan(network, device(name))
    assert within(found, device(name))
    specs = stage_specs(network, [(s.stage, s.folding) for s in found.stages], ECP5)
    expected = predict(specs, found.input_lanes, classes=network.output.channels)
    assert found.predicted == expected
    assert found.cycles >= max(s.cycles for s in specs)
    assert found.utilization == pytest.approx(max(s.cycles for s in specs) / found.cycles, abs=1e-6)
    assert found.dsps == sum(s.dsps for s in specs)


def test_a_larger_device_is_not_slower(network):
    cycles = [plan(network, device(name)).cycles for name in ("ecp5-12f", "ecp5-85f")]
    assert cycles[1] <= cycles[0]


def test_a_frame_rate_is_reached_with_less_hardware(network):
    fastest = plan(network, device("ecp5-85f"))
    slower = plan(network, device("ecp5-85f"), fps=fastest.frames_per_second / 8)
    assert slower.frames_per_second >= fastest.frames_per_second / 8
    assert slower.luts < fastest.luts


def test_a_device_too_small_says_by_how_much_and_names_the_next_that_fits(network):
    with pytest.raises(ValueError) as refused:
        plan(network, Device("toy", dsps=1, brams=4, luts=3000))
    text = str(refused.value)
    assert "\n" not in text
    assert "does not fit toy" in text
    assert "luts" in text and "% of the usable 2100" in text
    assert "fits ecp5-12f" in text


def test_a_frame_rate_out_of_reach_names_the_nearest_plan(network):
    fastest = plan(network, device("ecp5-25f"))
    message = r"does not fit ecp5-25f .*; the nearest plan that fits takes \d+ cycles, \d+ frames"
    with pytest.raises(ValueError, match=message) as refused:
        plan(network, device("ecp5-25f"), fps=fastest.frames_per_second * 50)
    assert "\n" not in str(refused.value)


def test_a_plan_file_round_trips_and_names_what_is_wrong(network, tmp_path):
    found = plan(network, device("ecp5-25f"))
    path = tmp_path / "plan.json"
    save_plan(found, path)
    assert load_plan(path) == found
    path.write_text(path.read_text().replace('"cycles"', '"cicles"', 1))
    with pytest.raises(ValueError, match=r"plan\.json: "):
        load_plan(path)
    with pytest.raises(ValueError, match=r"missing\.json: No such file"):
        load_plan(tmp_path / "missing.json")


def test_a_plan_of_another_model_is_refused(network):
    found = plan(network, device("ecp5-25f"))
    foldings = [(s.stage, s.folding) for s in found.stages]
    with pytest.raises(ValueError, match="the plan does not belong to .*: it has no stage"):
        stage_specs(network, foldings[1:], ECP5)


def carried_alternatives():
    """A layer of one convolution, and the same kernel's size as two contractions that need fewer multiplications."""
    rng = np.random.default_rng(5)
    edge = Edge((6, 6, 6, 16), Format(8, True, 3))
    narrow, out = Format(4, True, 3, narrow=True), Format(8, True, 3)
    window = Window((3, 3, 3), padding=((1, 1),) * 3)

    def node(name, size, taken, trail, where):
        weight = rng.integers(-7, 8, (size, *where.kernel, taken))
        return Contraction(name, (INPUT,), "layer", where, weight, narrow, Requantizer(out, 4), 1, trail)

    dense = node("layer", 16, 16, 1, window)
    chain = (node("layer.core0", 4, 1, 16, window), node("layer.core1", 16, 64, 1, Window()))
    head_weight = rng.integers(-7, 8, (3, 6, 6, 6, 16))
    head = Contraction("head", ("layer",), "head", Window((6, 6, 6)), head_weight, narrow, Requantizer(out, 4))
    graph = Graph("two", InputSpec(edge, edge.shape), (dense, head))
    return graph, {"layer": {"0-1": (dense,), "0 1": chain}}


def test_the_path_is_chosen_with_the_folding():
    graph, alternatives = carried_alternatives()
    found = plan(graph, device("ecp5-25f"), alternatives=alternatives)
    assert found.chosen_paths == {"layer": "0 1"}
    assert [s.stage for s in found.stages] == ["layer.core0", "layer.core1", "head"]
    costs = {path.path: path for path in found.paths}
    assert costs["0-1"].multiplications > costs["0 1"].multiplications
    assert costs["0-1"].rom_bits == 27 * 16 * 16 * 4 and costs["0 1"].rom_bits == (27 * 4 + 16 * 64) * 4
    alone = [plan(along(graph, alternatives, {"layer": text}), device("ecp5-25f")).cycles for text in ("0-1", "0 1")]
    assert found.cycles == min(alone) == alone[1]


def test_the_order_of_a_chain_follows_the_path():
    graph, alternatives = carried_alternatives()
    changed = along(graph, alternatives, {"layer": "0 1"})
    assert [(n.name, n.inputs) for n in changed.nodes] == [
        ("layer.core0", (INPUT,)),
        ("layer.core1", ("layer.core0",)),
        ("head", ("layer.core1",)),
    ]
    assert changed.output == graph.output


def random_network(seed):
    """One or two convolutions of a small map, a pool now and then, and a head over what is left."""
    rng = np.random.default_rng(seed)
    shape = (int(rng.choice([1, 1, 4])), *[int(rng.choice([4, 6, 8, 9]))] * 2, int(rng.choice([1, 2, 3, 4])))
    x = edge = Edge(shape, Format(int(rng.choice([1, 4, 8])), False, 0))
    nodes, source = [], INPUT
    for number in range(int(rng.choice([1, 2]))):
        kernel, stride = int(rng.choice([1, 2, 3])), int(rng.choice([1, 2]))
        kernel = min(kernel, *edge.shape[1:3])
        deep, pad = min(kernel, edge.shape[0]), int(rng.choice([0, kernel // 2]))
        strides = (min(stride, deep), stride, stride)
        window = Window((deep, kernel, kernel), strides, ((0, 0), (pad, pad), (pad, pad)))
        node = random_contraction(rng, f"conv{number}", source, edge, int(rng.choice([2, 4, 8])), window)
        nodes.append(node)
        edge, source = node.output(edge), node.name
        if rng.random() < 0.3 and min(edge.shape[1:3]) >= 2:
            nodes.append(Pool(f"pool{number}", (source,), f"pool{number}", "max", Window((1, 2, 2), (1, 2, 2))))
            edge, source = nodes[-1].output(edge), nodes[-1].name
    nodes.append(random_contraction(rng, "head", source, edge, 3, Window(edge.shape[:3])))
    return Graph("random", InputSpec(x, x.shape), tuple(nodes))


def random_contraction(rng, name, source, edge, made, window):
    fmt = Format(int(rng.choice([2, 4, 8])), True, 0, narrow=True)
    weight = rng.integers(fmt.minimum, fmt.maximum + 1, (made, *window.kernel, edge.channels))
    out = Format(16, True, 0) if name == "head" else Format(8, bool(rng.random() < 0.5), 0)
    return Contraction(name, (source,), name, window, as_integers(weight), fmt, Requantizer(out, 4))


@pytest.mark.parametrize("seed", range(40))
def test_a_rate_that_the_fastest_plan_reaches_is_reached(seed):
    """The search reckons with margins, and may find nothing where the fastest plan is fast enough."""
    graph, target = random_network(seed), device(("ecp5-12f", "ecp5-25f", "ecp5-85f")[seed % 3])
    fastest = plan(graph, target)
    hardware_of(graph, fastest)
    for slower in (1, 1.3, 2, 7):
        found = plan(graph, target, fps=fastest.frames_per_second / slower)
        assert found.cycles <= fastest.cycles * slower and within(found, target)


def test_few_flip_flops_are_named_as_such():
    graph = random_network(3)
    with pytest.raises(ValueError) as refused:
        plan(graph, Device("poor", dsps=28, brams=56, luts=24288, ffs=300))
    text = str(refused.value)
    assert "flip-flops, poor has 300" in text and "FIFOs of sums" not in text


def test_a_device_without_multipliers_is_a_device():
    found = plan(random_network(3), Device("bare", dsps=0, brams=56, luts=50_000))
    assert found.dsps == 0
