"""`python -m qtt_hw` is `qtt`."""

import sys

from qtt_hw.cli import main

sys.exit(main())
