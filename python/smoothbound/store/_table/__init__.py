"""The table of a results folder: its columns, their checks, and the journal of its rows."""
