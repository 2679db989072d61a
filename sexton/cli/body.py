"""`python -m sexton.cli.body GIVE TAKE`: a task's own process, started by the tick."""

from __future__ import annotations

import sys

from sexton.app.body import main

if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
