"""What the index and the registry must agree on, and nothing else."""
