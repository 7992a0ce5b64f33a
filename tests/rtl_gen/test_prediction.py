"""A prediction: the end of every inference from a transient and one period, in its shortest form, and as JSON."""

import json
from fractions import Fraction

import pytest

from rtl_gen.prediction import MOST_PERIOD, Prediction, number_of


def test_every_end_follows_from_the_transient_and_the_period():
    found = Prediction(ends=(23, 40), intervals=(12, 5, 11))
    assert [found.end(n) for n in range(9)] == [23, 40, 52, 57, 68, 80, 85, 96, 108]
    assert (found.mean, found.latency, found.longest) == (Fraction(28, 3), 23, 17)


@pytest.mark.parametrize(
    ("gaps", "period", "ends", "intervals"),
    [
        ([9, 9, 9, 9], 2, [20], [9]),  # the shortest period
        ([7, 4, 5, 4, 5], 2, [20, 27], [4, 5]),  # the shortest transient
        ([4, 5, 4, 5], 2, [20], [4, 5]),
        ([8, 4, 4, 5, 4, 4, 5], 3, [20, 28], [4, 4, 5]),
        ([5, 4, 4, 5, 4, 4, 5], 6, [20], [5, 4, 4]),
    ],
)
def test_the_shortest_form_is_taken(gaps, period, ends, intervals):
    all_ends = [20 + sum(gaps[:n]) for n in range(len(gaps) + 1)]
    found = Prediction.of(all_ends, period)
    assert found == Prediction(ends=ends, intervals=intervals)
    assert [found.end(n) for n in range(len(all_ends))] == all_ends


def test_json_has_the_intervals_and_their_exact_mean():
    found = Prediction(ends=(23,), intervals=(12, 5, 11))
    content = json.loads(found.model_dump_json())
    assert content == {"ends": [23], "intervals": [12, 5, 11], "mean": {"numerator": 28, "denominator": 3}}
    assert Prediction.model_validate_json(json.dumps(content)) == found
    with pytest.raises(ValueError, match=r"mean: \{'numerator': 9, 'denominator': 1\} is given, .* is 28/3"):
        Prediction.model_validate({**content, "mean": {"numerator": 9, "denominator": 1}})


def test_a_number_is_whole_where_the_mean_is():
    assert number_of(Fraction(18)) == 18 and isinstance(number_of(Fraction(18)), int)
    assert number_of(Fraction(28, 3)) == 28 / 3


def test_version_1_had_one_interval_and_the_latency():
    assert Prediction(interval=9, latency=8) == Prediction(ends=(8,), intervals=(9,))


@pytest.mark.parametrize("wrong", [{"ends": (), "intervals": (1,)}, {"ends": (1,), "intervals": (1,) * 65}])
def test_there_is_an_end_and_no_more_than_the_longest_period(wrong):
    assert MOST_PERIOD == 64
    with pytest.raises(ValueError, match=r"ends|intervals"):
        Prediction(**wrong)
