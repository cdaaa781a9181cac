"""A handful of small images, pushed as a daemon would, with people who have something to say about them."""
