"""The index: accounts, repository names, checksums and tokens; it stores no layer."""
