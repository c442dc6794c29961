"""The program `smoothbound`, and ``python -m smoothbound``: the command line."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it with a word and status 130, also during imports."""
    try:
        from smoothbound.cli._app import main as run

        run()
    except KeyboardInterrupt:
        print("note: stopped", file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
