"""A registry that fills itself from others: push at one point, pull at many.

sources.py     which namespace comes from where: the setting
client.py      one source, spoken to as a daemon would
spool.py       a layer on its way, for as many readers as want it
download.py    one layer, from its source into the store
filling.py     one download of a layer, however many ask, in however many processes
following.py   a repository's tags and list, kept in step with the source
reading.py     images, tags and repositories as the doors ask for them
mirror.py      what of all this a request concerns
"""
