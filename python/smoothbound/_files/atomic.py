"""Atomic writing: a file is complete or missing, and one writer at a time holds a folder.

Each lock is an `fcntl.flock` of the file that is written. The kernel releases it when a process
dies, and the folder holds no second file. The package filelock was considered: it locks a file
beside the data, which a killed run leaves in the folder.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from smoothbound._files.plain import open_plain, require_plain
from smoothbound.errors import StoreError

__all__ = [
    "atomic_write",
    "clear_drafts",
    "file_identity",
    "is_locked",
    "lock",
    "missing_folders",
    "remove_empty",
    "sync_folder",
]

_HELD = (errno.EWOULDBLOCK, errno.EACCES)
_TRIES, _PAUSE = 5, 0.05  # because `is_locked` holds a lock for a moment


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
        _lock(fd, path)
        if file_identity(path) == _identity(os.fstat(fd)):
            return fd
    except StoreError:
        os.close(fd)
        raise
    os.close(fd)  # the process that held the file has deleted it
    return lock(path)


def _lock(fd: int, path: Path) -> None:
    for left in reversed(range(_TRIES)):
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD:
                raise StoreError(
                    f"cannot lock {path}: {error.strerror}. Two runs that write to one folder are "
                    "told apart by flock, which the file system of this folder must offer"
                ) from error
            if not left:
                raise StoreError(
                    f"another run is writing to {path.parent}: {error.strerror}"
                ) from error
        time.sleep(_PAUSE)
    return None


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock of a file, as far as the file system tells."""
    try:
        with open_plain(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _HELD
    except StoreError:  # there is no such file, or no longer
        return False
    return False


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode, which change when the file is replaced; None if it is missing."""
    try:
        return _identity(path.stat())
    except (OSError, ValueError):  # ValueError: a null character in the name
        return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


@contextmanager
def atomic_write(path: Path, *, once: bool = False) -> Iterator[BinaryIO]:
    """Open a draft that replaces `path` only once it is complete and on the disk.

    The draft can be written and read back. A missing folder is made. Drafts of `path` that killed
    runs have left are deleted.

    Parameters
    ----------
    path : Path
    once : bool
        Whether to leave `path` as it is if it exists by then. So the first of several processes
        writes it, on NFS too. Drafts of killed runs are left to the caller.

    Raises
    ------
    StoreError
        If the draft cannot be written, or `path` is a pipe, folder or device. `path` is then
        unchanged, and no draft is left.
    FileExistsError
        With `once`, if `path` exists by the time when the draft is complete.
    """
    _refuse_special(path)
    draft = path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not once:
            clear_drafts(path)
        draft, opened = _open_draft(path)
        with opened as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if once:
                os.link(draft, path)
            else:
                draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        if once and isinstance(error, FileExistsError):
            raise
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if draft != path:
            with suppress(OSError):
                draft.unlink(missing_ok=True)


def _open_draft(path: Path) -> tuple[Path, BinaryIO]:
    """Make and lock a draft of `path`."""
    while True:
        # The name is random, so that nobody can put a link there beforehand.
        draft = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
        file = draft.open("x+b")
        with suppress(OSError):  # without locks, stale drafts stay
            fcntl.flock(file, fcntl.LOCK_EX)
        if file_identity(draft) == _identity(os.fstat(file.fileno())):
            return draft, file
        file.close()  # another process took it for a stale one before it was locked


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


def missing_folders(folder: Path) -> list[Path]:
    """Return the folders that writing into a folder would make, the innermost first."""
    found = []
    for one in (folder, *folder.parents):
        try:
            if one.exists():
                break
        except (OSError, ValueError):  # ValueError: a null character in the name
            break
        found.append(one)
    return found


def remove_empty(folders: Iterable[Path]) -> None:
    """Delete folders, the first first, up to one that is missing or not empty."""
    with suppress(OSError, ValueError):
        for folder in folders:
            folder.rmdir()
