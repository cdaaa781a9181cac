"""A pull-through mirror: a registry that fills itself from others; push at one, pull from many.

sources.py       the setting: which namespace is mirrored from which source
client.py        the client of one source, which speaks to it as a daemon would
copies.py        which repositories are copies of a source's, and which images each of them has
spool.py         a layer in transit, in a file that many readers share
download.py      one layer, from its source into the store, retried and resumed
pull_through.py  one download of a layer, however many clients and processes request it
tag_sync.py      a repository's tags and image list, kept in sync with the source
mirrored.py      images, tags and repositories of a mirror, as the views read them
mirror.py        the facade: which repositories have a source, and what it offers
"""
