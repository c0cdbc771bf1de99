"""Training of the default model: pictures, losses, loops and their resumable state."""
