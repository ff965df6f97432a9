"""`orkactl socket`: where orkad is, or would be."""

from __future__ import annotations

import os

from orka.client.options import DEFAULTS, Common
from orka.client.output import write


def socket(*, common: Common = DEFAULTS) -> int:
    """Print the path of orkad's socket; no orkad has to run."""
    write(os.fsencode(common.socket_path) + b"\n")
    return 0
