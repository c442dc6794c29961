"""Bounds on means, and on the confidence by tangents, for machines without the C++ core."""
