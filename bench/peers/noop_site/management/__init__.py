"""A Django application with one command that does nothing."""

from __future__ import annotations
