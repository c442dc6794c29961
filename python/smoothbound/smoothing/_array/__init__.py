"""The inputs of an array: their points and noise levels, their draws, and how those go on."""
