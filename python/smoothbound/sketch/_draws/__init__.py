"""Draws on their way into a sketch: counted, numbered, and compared with earlier ones."""
