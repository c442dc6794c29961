"""Reading of whole files. Each must be a plain file that fits into memory."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from smoothbound.errors import SmoothboundError, StoreError

__all__ = ["memory_limit", "open_plain", "read_plain", "require_plain"]

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_plain(path: str | Path, error: type[SmoothboundError] = StoreError) -> BinaryIO:
    """Open a file for reading without ever waiting for another program.

    Parameters
    ----------
    path : str or Path
    error : type
        The class of the error to raise.

    Raises
    ------
    SmoothboundError
        Of the type `error`, if the file is missing, cannot be read, or is a pipe, folder or device.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as cause:  # ValueError: a null character in the name
        raise error(f"cannot read {path}: {getattr(cause, 'strerror', cause)}") from cause
    try:
        require_plain(path, os.fstat(fd), error)
        return os.fdopen(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def require_plain(
    path: str | Path, status: os.stat_result, error: type[SmoothboundError] = StoreError
) -> None:
    """Raise `error` if `status` is not that of a plain file."""
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise error(f"{path} must be a plain file, and is {kind}")


def read_plain(path: str | Path, error: type[SmoothboundError] = StoreError) -> bytes:
    """Return the bytes of a plain file; raises as `open_plain` does, also if it is too large."""
    with open_plain(path, error) as file:
        size = os.fstat(file.fileno()).st_size
        if size > memory_limit():
            raise error(f"cannot read {path}: its {size} bytes are more than memory holds")
        try:
            return file.read()
        except (OSError, MemoryError) as cause:
            why = getattr(cause, "strerror", None) or "it is more than memory holds"
            raise error(f"cannot read {path}: {why}") from cause


def memory_limit() -> int:
    """Return how many bytes one file may fill: half of the machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
