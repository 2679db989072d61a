"""The Sexton object and what it makes of a function: it introduces work to store.

With the command line, this is the only room that reads the environment and the settings file.
"""

from __future__ import annotations

from sexton.app.command import Command
from sexton.app.plan import Plan
from sexton.app.sexton import Sexton
from sexton.app.task import Task

__all__ = ["Command", "Plan", "Sexton", "Task"]
