"""`django-admin noop`."""

from __future__ import annotations

from typing import ClassVar

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    requires_system_checks: ClassVar[list[str]] = []

    def handle(self, *_: object, **__: object) -> None:
        """Does nothing."""
