"""The inputs of an array: their points, noise levels and draws, and how draws are continued."""
