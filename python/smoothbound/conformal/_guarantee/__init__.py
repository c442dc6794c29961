"""The split of the failure probability, and the counts and ranks that follow from it."""
