"""What was changed about permissions and credentials, by whom: a log that is only added to, until it is too old."""
