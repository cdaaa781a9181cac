"""`/v2/`: the images of v1 as the OCI distribution protocol has them, for reading by today's clients.

A request is admitted to the repository that it names, and reads what v1 would let the same token read. Manifest,
config, digest and blob are words of this package and of `registry_service.oci`; all else speaks of images and layers.
"""
