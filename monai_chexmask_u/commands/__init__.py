"""The commands of chexmask-u: each reads its options, calls the library and says what became of it."""
