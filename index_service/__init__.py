"""The index: it knows people, names, checksums and tokens, and holds no layer."""
