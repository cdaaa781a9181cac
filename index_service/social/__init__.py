"""What people say of repositories: stars, comments, annotations."""
