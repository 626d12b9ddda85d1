"""The card of a data set: what is in it, in words, tables and figures."""
