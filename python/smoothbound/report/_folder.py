"""The folder of a report, which holds the files of one report at a time."""

from __future__ import annotations

import json
from pathlib import Path

from smoothbound._files.atomic import atomic_write
from smoothbound._files.checksum import digest
from smoothbound._files.plain import read_plain
from smoothbound.errors import StoreError

__all__ = ["others", "write"]

_LIST = ".report.json"  # the names of the files and the digests of what was written


def write(out: Path, files: dict[str, bytes]) -> list[Path]:
    """Write the files of a report, and delete the unchanged files of an older one.

    Parameters
    ----------
    out : Path
        The folder; it is made if it does not exist.
    files : dict of str to bytes
        Contents by name.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    StoreError
        If the folder or a file cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise StoreError(f"cannot write to {out}: {getattr(error, 'strerror', error)}") from error
    older = _older(out)
    for name, content in files.items():
        with atomic_write(out / name) as file:
            file.write(content)
    sums = {name: digest(content).hex() for name, content in files.items()}
    for name in older.keys() - files.keys():
        try:
            if digest(read_plain(out / name)).hex() == older[name]:
                (out / name).unlink()
        except (OSError, StoreError):  # it is missing, or not a plain file any more
            continue
    with atomic_write(out / _LIST) as file:
        file.write(json.dumps(sums).encode())
    return [out / name for name in files]


def others(out: Path, written: list[Path]) -> list[str]:
    """Return the names of other files and folders in the folder, without hidden ones."""
    names = {one.name for one in out.iterdir() if not one.name.startswith(".")}
    return sorted(names - {path.name for path in written})


def _older(out: Path) -> dict[str, str]:
    """Return the list of an older report; empty if there is none that can be read."""
    try:
        listed = json.loads(read_plain(out / _LIST))
    except (StoreError, ValueError, RecursionError):
        return {}
    if not isinstance(listed, dict):
        return {}
    # Only plain names are allowed, so that a forged list cannot reach other folders.
    return {name: str(one) for name, one in listed.items() if Path(name).name == name}
