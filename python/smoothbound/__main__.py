"""``python -m smoothbound``: the command line, where its program is not on the path."""

from smoothbound.cli import main

if __name__ == "__main__":
    main()
