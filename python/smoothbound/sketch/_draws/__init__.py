"""Counting of draws into a sketch, with their numbers and a comparison with earlier draws."""
