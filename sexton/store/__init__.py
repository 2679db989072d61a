"""Remembers: the only room with SQL. One method is one transaction."""
