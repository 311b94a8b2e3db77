"""Checking the answers of a whole class: many at once, each in a process that may fail, and one table of all."""
