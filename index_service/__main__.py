"""`python -m index_service` is `wharfinger-index`."""

from index_service.cli import main

main(prog_name="wharfinger-index")
