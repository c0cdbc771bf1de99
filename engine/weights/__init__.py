"""Weight files: reading and writing them, what a model on a wire is, and the key layouts files come in."""
