"""Names taken, the images and tags they list, and who may do what with them."""
