"""For users' own tests: fixtures for pytest, a clock that travels, crashes on purpose."""
