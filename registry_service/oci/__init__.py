"""v1 images as today's clients want them: digests, image configs and manifests of the OCI distribution protocol."""
