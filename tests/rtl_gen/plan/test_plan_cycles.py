"""The plan file: its versions, its cycles as exact numbers, and rates by the mean of uneven intervals."""

import json
import math
from fractions import Fraction

import pytest

from rtl_gen.families import device
from rtl_gen.period import NotPeriodic
from rtl_gen.plan.plan import load_plan, most_cycles, rate_of, save_plan
from rtl_gen.plan.search import plan


def written(tmp_path, found, **changes):
    path = tmp_path / "plan.json"
    save_plan(found, path)
    content = json.loads(path.read_text())
    for name, value in changes.items():
        content[name] = value
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
    return path


def test_uneven_intervals_are_in_the_file_with_their_exact_mean(uneven, tmp_path):
    _, found = uneven
    assert (found.predicted.intervals, found.cycles, found.latency) == ((12, 7, 9), Fraction(28, 3), 26)
    path = written(tmp_path, found)
    content = json.loads(path.read_text())
    assert content["version"] == 4
    assert content["predicted"] == {"ends": [26], "intervals": [12, 7, 9], "mean": {"numerator": 28, "denominator": 3}}
    assert (content["cycles"], content["latency"]) == (28 / 3, 26)
    assert load_plan(path) == found
    assert json.loads(found.model_dump_json()) == content


def test_a_whole_mean_is_a_whole_number_in_the_file(network, tmp_path):
    found = plan(network, device("ecp5-25f"))
    assert f'"cycles": {found.cycles},' in written(tmp_path, found).read_text().replace("\n", "")


def test_a_rate_is_that_of_the_mean(uneven):
    _, found = uneven
    assert found.frames_per_second == rate_of(100.0, Fraction(28, 3)) == 1e8 / 28 * 3
    assert found.utilization == pytest.approx(4 / (28 / 3), abs=1e-6)


@pytest.mark.parametrize("cycles", [1, 3, 7, 98_304, 141_376, 16_777_216])
def test_the_most_cycles_at_a_rate_are_exact(cycles):
    for clock in (100.0, 33.3, 127.65):
        assert most_cycles(clock, rate_of(clock, cycles)) == cycles
        assert most_cycles(clock, math.nextafter(rate_of(clock, cycles), math.inf)) == cycles - 1
    assert most_cycles(100.0, 1e12) == 0


def test_a_rate_between_two_whole_numbers_of_cycles_is_reached_by_the_mean(uneven, monkeypatch):
    """9 1/3 cycles are fast enough for a rate at which 9 would be and 10 would not."""
    graph, found = uneven
    monkeypatch.setattr("rtl_gen.plan.search.derived", lambda *_, **__: found)
    rate = found.frames_per_second
    assert plan(graph, device("ecp5-25f"), fps=rate) is found
    with pytest.raises(ValueError, match=r"the nearest plan takes 9\.33\d* cycles, 10714285\.7 frames a second"):
        plan(graph, device("ecp5-25f"), fps=rate * 1.0001)


def test_version_1_is_read_where_it_has_a_whole_number_of_cycles(network, tmp_path):
    found = plan(network, device("ecp5-25f"))
    path = written(tmp_path, found, version=1, predicted=None, link_luts=None)
    old = load_plan(path)
    assert (old.version, old.cycles, old.latency) == (1, found.cycles, found.latency)
    assert old.stages == found.stages
    path = written(tmp_path, found, version=1, predicted=None, link_luts=None, cycles=9.5)
    with pytest.raises(ValueError, match=r"plan\.json: predicted\.intervals\.0: Input should be a valid integer"):
        load_plan(path)
    path = written(tmp_path, found, version=1, predicted=None, link_luts=None, latency=None)
    with pytest.raises(ValueError, match=r"plan\.json: latency: Field required"):
        load_plan(path)


@pytest.mark.parametrize("version", [0, "2", True, None, 1.5])
def test_a_version_that_is_not_known_is_named(network, tmp_path, version):
    path = written(tmp_path, plan(network, device("ecp5-25f")))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": version}))
    with pytest.raises(
        ValueError, match=r"plan\.json: version: .* is not known; plans of versions 1, 2, 3 and 4"
    ) as refused:
        load_plan(path)
    assert repr(version) in str(refused.value)


@pytest.mark.parametrize(("field", "value"), [("cycles", 9), ("latency", 24)])
def test_cycles_that_are_not_the_prediction_s_are_refused(uneven, tmp_path, field, value):
    path = written(tmp_path, uneven[1], **{field: value})
    with pytest.raises(ValueError, match=rf"plan\.json: {field}: {value} is given, that of the prediction is"):
        load_plan(path)


def test_intervals_that_do_not_repeat_are_refused_by_the_model_s_name(network, monkeypatch):
    def never(*_, **__):
        raise NotPeriodic(list(range(0, 900, 3)))

    monkeypatch.setattr("rtl_gen.plan.derive.predict", never)
    message = r"^small: the schedule is not periodic with up to 64 intervals after 300 inferences, the last ones \[3, 3"
    with pytest.raises(ValueError, match=message):
        plan(network, device("ecp5-25f"))
