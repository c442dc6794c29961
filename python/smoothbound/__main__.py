"""The program `smoothbound`, and ``python -m smoothbound``: the command line."""

import sys
from collections.abc import Callable

from smoothbound._utils.extras import name_the_extra
from smoothbound.cli._statuses import ERROR, STOPPED


def main() -> None:
    """Run the command line. Ctrl-C ends it with a note and its status, also during imports."""
    try:
        _load()()
    except KeyboardInterrupt:
        print("note: stopped", file=sys.stderr)
        raise SystemExit(STOPPED) from None


def _load() -> Callable[[], None]:
    """Import the command line; without its extra, say so and end with status `ERROR`."""
    try:
        with name_the_extra():
            from smoothbound.cli._app import main as run
    except ModuleNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(ERROR) from None
    return run


if __name__ == "__main__":
    main()
