"""The MONAI Label application: thin shells over the library, for annotators (README.md)."""
