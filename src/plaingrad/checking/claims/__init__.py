"""A claim in a formula: read by a parser of its own, and weighed against the network's own loops in 50 digits."""

from plaingrad.checking.claims.claim import Claim, claim

__all__ = ["Claim", "claim"]
