"""What a program answered: read from JSON, NPZ, CSV or Python, in any layout; and how a program is asked."""
