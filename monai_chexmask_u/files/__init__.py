"""Files: what kind they are, whole or not at all, folders held by one process, names, and the causes of faults."""
