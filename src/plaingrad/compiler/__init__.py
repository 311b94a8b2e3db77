"""From loops to machine code: one function run as Python or compiled, kept on disk, called many at a time."""
