"""Does: the closed table of kinds, and the running, guarding and ending of tasks."""
