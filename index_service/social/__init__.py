"""The social features: stars, comments, annotations."""
