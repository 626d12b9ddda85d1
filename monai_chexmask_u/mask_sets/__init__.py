"""`chexmask-u landmarks`: data sets with landmarks, made of films and masks."""
