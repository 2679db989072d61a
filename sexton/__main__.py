"""`python -m sexton`: the same as the command `sexton`, where its script is not on the path."""

from sexton.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
