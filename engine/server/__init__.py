"""The server: HTTP and WebSocket over the engine, and who may use them."""
