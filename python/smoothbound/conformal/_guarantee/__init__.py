"""What a method may fail in, and the counts and ranks that keep it within this."""
