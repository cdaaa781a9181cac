"""The registry: it keeps images and their graph, knows no people and has no database."""
