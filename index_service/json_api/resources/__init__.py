"""What the API answers: a dataclass for each resource, made of what services found.

They are the contract of `/api/v1`: a field that stands here stays, whatever a page shows or a service is made of. Each
is described in the OpenAPI document by its own docstring, and none leaves a field out.
"""
