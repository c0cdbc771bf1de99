"""Pictures in and out, with limits, and the recipe that travels inside them."""
