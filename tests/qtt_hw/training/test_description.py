"""What a run is known by."""

from typing import Any

from qtt_hw.training.description import without_paths
from qtt_hw.training.sections import ModelConfig


def test_a_float_model_does_not_depend_on_paths_but_on_the_order_of_modes() -> None:
    def key(**paths: str) -> dict[str, Any]:
        return without_paths(ModelConfig(name="net", paths=paths).model_dump(mode="json"))

    assert key(a="0 1") == key(a="0-1") == key() == key(b="best")
    assert key(a="0 1 of 2,4 to 4,2") == key(a="1 0 of 2,4 to 4,2") != key(a="0 1 of 4,2 to 4,2")
    assert key(a="0 1 of 2,4 to 4,2") != key()
