"""Small helpers: checks of arguments, optional packages, devices, threads, old names."""
