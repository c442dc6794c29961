"""Files that are written whole, sealed by a checksum, and checked when they are read."""
