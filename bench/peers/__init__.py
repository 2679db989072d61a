"""The peers' programs, each as its own documentation would write it."""

from __future__ import annotations
