"""The functions of the reference, one module a resource, on one transport."""
