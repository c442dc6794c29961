"""Statistics of many inputs, and the inputs as statistics read them."""
