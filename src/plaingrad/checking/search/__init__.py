"""The search: every pass computed from the answer's own numbers, and the mistake that makes what differs."""
