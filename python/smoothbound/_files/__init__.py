"""Files that are written whole, sealed by a checksum and read with suspicion."""
