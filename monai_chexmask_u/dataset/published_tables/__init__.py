"""The published tables: read with what is wrong in them, placed on their images, and written again."""
