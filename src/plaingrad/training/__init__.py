"""Training: batches in shards, epochs, checkpoints, run folders, inference, the report."""
