"""Networks, and the runs that keep every number of a pass."""
