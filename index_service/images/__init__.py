"""Images as registries describe them: metadata, ancestry, and the queue of jobs for registries."""
