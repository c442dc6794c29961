"""Atomic writing: a file is complete or missing, and one writer at a time holds a folder.

Each lock is an `fcntl.flock` of the file that is written. The kernel releases it when a process
dies, and the folder holds no second file. The package filelock was considered: it locks a file
beside the data, which a killed run leaves in the folder.
"""

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

__all__ = ["atomic_write", "clear_drafts", "file_identity", "lock", "sync_folder"]


def lock(path: Path) -> int:
    """Open `path`, which is made if it is missing, and lock it until it is closed.

    Returns
    -------
    int
        The file descriptor, open for reading and writing.

    Raises
    ------
    StoreError
        If the file cannot be made, is not a plain file, or is locked by another process.
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
    """Return device and inode, which change when the file is replaced; None if it is missing."""
    try:
        return _identity(path.stat())
    except (OSError, ValueError):  # ValueError: a null character in the name
        return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a draft that replaces `path` only once it is complete and on the disk.

    The draft can be written and read back. A missing folder is made. Drafts of `path` that killed
    runs have left are deleted.

    Raises
    ------
    StoreError
        If the draft cannot be written, or `path` is a pipe, folder or device. `path` is then
        unchanged, and no draft is left.
    """
    _refuse_special(path)
    # The name is random, so that nobody can put a link there beforehand.
    draft = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_drafts(path)
        with draft.open("x+b") as file:
            with suppress(OSError):  # without locks, stale drafts stay
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
    """Raise if `path` exists and is not a plain file."""
    try:
        require_plain(path, path.stat())
    except ValueError as error:  # a null character in the name
        raise StoreError(f"cannot write {path!r}: {error}") from error
    except OSError:  # it is missing, or opening the draft will fail too
        pass


def clear_drafts(path: Path) -> None:
    """Delete the drafts of `path` that killed runs have left; drafts in use are locked and stay."""
    for draft in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with suppress(OSError, StoreError), open_plain(draft) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk, if the folder can be opened."""
    try:
        fd = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
