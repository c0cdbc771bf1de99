"""Order, running, cache, events: how a graph becomes results. Never knows what a tensor or a model is."""
