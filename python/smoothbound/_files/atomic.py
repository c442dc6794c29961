"""Files that are either whole or not there, and folders that one writer holds."""

from __future__ import annotations

import fcntl
import glob
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from smoothbound._files.plain import open_plain, require_plain
from smoothbound.errors import StoreError

__all__ = ["clear_drafts", "file_identity", "lock", "replacing", "sync_folder"]


def lock(path: Path) -> int:
    """Make and open `path`, and hold it alone until it is closed.

    Raises
    ------
    StoreError
        If it cannot be made, is not a plain file, or another process holds it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise StoreError(
            f"cannot write to {path.parent}: {getattr(error, 'strerror', error)} ({path})"
        ) from error
    try:
        require_plain(path, os.fstat(fd))
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if file_identity(path) == _identity(os.fstat(fd)):
            return fd
    except OSError as error:
        os.close(fd)
        raise StoreError(f"another run is writing to {path.parent}: {error.strerror}") from error
    except StoreError:
        os.close(fd)
        raise
    os.close(fd)  # the process that held the file has deleted it
    return lock(path)


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from one that takes its place; None if there is none."""
    try:
        return _identity(path.stat())
    except (OSError, ValueError):  # ValueError: a null character in the name
        return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` only once it is complete and on the disk.

    The file can be written and read back. The folder is made if need be, and what runs that were
    killed have left of `path` is deleted.

    Raises
    ------
    StoreError
        If it cannot be written, or `path` is a pipe, folder or device; `path` is then as it was,
        and nothing else is left behind.
    """
    _refuse_special(path)
    # Nobody else can foresee the name and put a link there.
    draft = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_drafts(path)
        with draft.open("x+b") as file:
            with suppress(OSError):  # a file system without locks keeps its stale drafts
                fcntl.flock(file, fcntl.LOCK_EX)
            yield file
            file.flush()
            os.fsync(file.fileno())
            draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _refuse_special(path: Path) -> None:
    """Refuse to write to what is there and is not a plain file."""
    try:
        require_plain(path, path.stat())
    except ValueError as error:  # a null character in the name
        raise StoreError(f"cannot write {path!r}: {error}") from error
    except OSError:  # nothing there, or an error that opening the draft will show
        pass


def clear_drafts(path: Path) -> None:
    """Delete the drafts that runs which were killed have left; those in use are locked."""
    for draft in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with suppress(OSError, StoreError), open_plain(draft) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk, where the folder can be opened."""
    try:
        fd = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
