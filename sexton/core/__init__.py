"""Decides: no I/O, no clock, no SQL, no environment. What it needs to know, it is told."""
