"""The texts that define layers, losses and optimisers, and the records and words they are made of."""
