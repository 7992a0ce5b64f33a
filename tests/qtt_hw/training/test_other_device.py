"""Training and evaluation on a device that is not the processor: what would be mixed up on CUDA is found."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_phase_runs_elsewhere_and_equals_the_golden_model(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.other_device", tmp_path]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["accelerator"] == "elsewhere"
    assert found["phases"] == ["teacher", "float", "compress", "tune", "quantized"]
    assert found["logits"] == 80 and found["different"] == 0
    assert found["batches"]["values"] > 5_000_000 and found["batches"]["different"] == 0
