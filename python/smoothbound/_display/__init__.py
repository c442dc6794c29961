"""Numbers and texts as people see them: rounded to the safe side, harmless on a terminal."""
