"""Scheduled and requested tasks that happen once, on the right server, with nothing left running.

The public names, each loaded on first use: a tick with nothing due imports this package every
minute on every machine, so importing it imports nothing else, not even from the standard library.
"""

# The name alone tells type checkers what follows; importing it from typing would double the cost.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from sexton.app import Plan, Sexton, Task
    from sexton.core.errors import Permanent, SextonError
    from sexton.core.item import Item
    from sexton.core.outcome import Outcome

__version__ = "0.1.0"

__all__ = [
    "Item",
    "Outcome",
    "Permanent",
    "Plan",
    "Sexton",
    "SextonError",
    "Task",
    "__version__",
]

_ROOMS = {
    "Item": "sexton.core.item",
    "Outcome": "sexton.core.outcome",
    "Permanent": "sexton.core.errors",
    "Plan": "sexton.app",
    "Sexton": "sexton.app",
    "SextonError": "sexton.core.errors",
    "Task": "sexton.app",
}

# Hidden from type checkers: to them a module __getattr__ means that every name exists.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a public name from its room on first use (PEP 562) and keep it."""
        if name not in _ROOMS:
            raise AttributeError(f"module 'sexton' has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(_ROOMS[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names, loaded or not, beside what the module holds already."""
    return sorted({*globals(), *__all__})
