"""Images, their layers, ancestry, checksums and tags, and how a push brings them in; no request is known here."""
