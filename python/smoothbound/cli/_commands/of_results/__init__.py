"""The commands that read what `certify` and `bounds` wrote."""
