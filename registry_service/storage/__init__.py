"""Where bytes are kept: paths, contents, readers and writers, and nothing of what they mean."""
