"""Import an application by its name, `module:object`, and say clearly what is wrong with it."""

from __future__ import annotations

import importlib
import os
import sys
import traceback

from sexton.app.place import Place
from sexton.app.sexton import Sexton
from sexton.core.errors import ConfigurationError, SextonError
from sexton.store import path_of

FRAMES_SHOWN = 3
OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def load(place: Place) -> Sexton:
    """The Sexton object that `place.app` names; raises ConfigurationError.

    Its store must be the one that this process uses: two stores would each let a period's work
    happen once.
    """
    found = named(place)
    if os.path.realpath(path_of(found.place.store)) != os.path.realpath(path_of(place.store)):
        raise ConfigurationError(
            f"the application uses the store {found.place.store}, and this command {place.store}",
            hint="Name the store in one place for both: in sexton.toml, or in SEXTON_STORE.",
        )
    return found


def named(place: Place) -> Sexton:
    """As `load`, whatever its store is. Modules are found from the directory of the settings
    file."""
    if not place.app:
        raise ConfigurationError(
            "no application is named",
            hint='Set SEXTON_APP=tasks:app, or app = "tasks:app" in sexton.toml.',
        )
    module, _, name = place.app.partition(":")
    if not module or not name.isidentifier():
        raise ConfigurationError(f"the application {place.app!r} is not of the form module:object")
    if place.directory not in sys.path:
        sys.path.insert(0, place.directory)
    found = getattr(_imported(module, place), name, None)
    if not isinstance(found, Sexton):
        what = "has no" if found is None else "has another kind of"
        raise ConfigurationError(
            f"the module {module} {what} {name}", hint="It must be made by `Sexton()`."
        )
    return found


def _imported(module: str, place: Place) -> object:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise _broken(module, error) from error
        raise ConfigurationError(
            f"there is no module {module} in {place.directory}",
            hint="Modules are found from the directory of sexton.toml; run the command there.",
        ) from error
    except (Exception, SystemExit) as error:  # foreign code: whatever it raises, its import failed
        raise _broken(module, error) from error


def _broken(module: str, error: BaseException) -> ConfigurationError:
    """The error with the last frames of the application's own files, and our hint if it is ours."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "importlib" not in f.filename and not f.filename.startswith(OURS)]
    at = ", ".join(f"{os.path.basename(f.filename)}:{f.lineno}" for f in own[-FRAMES_SHOWN:])
    where = f" (at {at})" if at else ""
    if isinstance(error, SextonError):
        return ConfigurationError(
            f"the module {module} cannot be imported: {error}{where}", hint=error.hint
        )
    return ConfigurationError(
        f"the module {module} cannot be imported: {type(error).__name__}: {error}{where}"
    )
