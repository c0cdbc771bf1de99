"""Model families: how to recognise a checkpoint, what parts it has, and how a prompt becomes a picture with it."""
