"""The command line: one function a command, each a thin call of the library."""
