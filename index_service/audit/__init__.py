"""What was changed about permissions and credentials, by whom: a log that is only ever added to."""
