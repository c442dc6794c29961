"""The exit statuses of the program, beside 0 for a command that succeeded."""

from __future__ import annotations

__all__ = ["ERROR", "FAILED_INPUTS", "STOPPED", "TERMINATED"]

ERROR = 2  # a wrong option, a file that cannot be used, a missing package
FAILED_INPUTS = 3  # the run is complete, and the model or the measure failed on some inputs
STOPPED = 130  # Ctrl-C
TERMINATED = 143  # SIGTERM, such as that of a scheduler whose time is up
