"""Npz files are bounded before anything of them is unpacked."""

from pathlib import Path

import numpy as np
import pytest

from qtt_hw.data.npz import read_npz


def test_a_small_file_that_unpacks_to_much_is_refused_at_once(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "z.npz", x=np.zeros((5 << 20, 4, 4, 4), np.uint8), y=np.zeros(5 << 20, np.uint8))
    with pytest.raises(ValueError, match=r"z\.npz: \d+ bytes would unpack to 0\.3 GiB, more than 250 times as much"):
        read_npz(tmp_path / "z.npz")
