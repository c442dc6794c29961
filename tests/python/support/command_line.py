"""Commands as a user types them, and scores for them."""

from __future__ import annotations

import numpy as np
from typer.testing import CliRunner, Result

from smoothbound.cli._app import app

SCORES = np.random.default_rng(0).beta(8, 1, (20, 500)).astype(np.float32)


def smoothbound(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def fails(*args: object) -> str:
    """Run a command that must end with one line of explanation; return what it printed."""
    result = smoothbound(*args)
    assert result.exit_code == 2, result.output
    assert result.output.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.output
    return result.output
