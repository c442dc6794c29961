"""The exit statuses of the program; a command that succeeds returns 0."""

from __future__ import annotations

__all__ = [
    "DOES_NOT_HOLD",
    "ERROR",
    "FAILED_INPUTS",
    "NOT_VERIFIED",
    "RUNNING",
    "STOPPED",
    "TERMINATED",
    "UNFINISHED",
]

DOES_NOT_HOLD = 1  # `verify`: a certificate is above what was kept
ERROR = 2  # a wrong option, a file that cannot be used, a missing package
FAILED_INPUTS = 3  # the run is complete, and the model or the measure failed on some inputs
NOT_VERIFIED = 4  # `verify`: nothing is wrong, and some certificates cannot be verified
RUNNING = 5  # `status`: the run is not finished, and all unfinished shards are running
UNFINISHED = 6  # `status`: a shard is stopped, damaged or not started
STOPPED = 130  # Ctrl-C
TERMINATED = 143  # SIGTERM, such as that of a scheduler whose time is up
