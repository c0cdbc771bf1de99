"""The server: the ecosystem's HTTP and WebSocket protocol over the engine, with a queue that survives.

It computes nothing. Jobs run in the worker process of `engine.jobs`; what happens is kept in `store`, told by `hub`.
"""
