"""Files whole or not at all: locks, folders, names, checksums, and the causes of faults."""
