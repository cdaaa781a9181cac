"""How fast the index's pages are when there is much to show."""
