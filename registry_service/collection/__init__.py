"""Collection of what no tag reaches, beside running pushes.

`collector` does it; by `graph.condemned` pushes and tags save from it what they rely on.
"""
