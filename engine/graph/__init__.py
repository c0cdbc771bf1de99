"""What a workflow *is*: documents, socket types, node descriptions, validation, keys. No torch, no running."""
