"""What pages show: frozen dataclasses, of which templates make HTML."""
