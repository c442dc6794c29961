"""Small helpers without a subject: checks of arguments, packages that may be missing, threads."""
