"""The API's resources: a dataclass for each, made from the results of services.

They are the contract of `/api/v1`: a field here stays, whatever a page shows or a service returns. The OpenAPI document
describes each by its docstring, and every field is always present.
"""
