"""Full-text search of repositories: tokenization, indexing, query planning and ranking."""
