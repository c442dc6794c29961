"""The anytime test in numba: the record of the draws and the wealth of its questions."""
