"""What a hostile client tries, each as a real exchange; the services hold."""
