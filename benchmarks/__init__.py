"""Many simulated daemons against this registry and against others, the same image in the same run."""
