"""The least settings with which a command can be found."""

from __future__ import annotations

INSTALLED_APPS = ["noop_site"]
