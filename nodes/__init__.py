"""The built-in nodes, by subject. Each is a thin typed function that calls the engine; see `engine.graph.declare`."""
