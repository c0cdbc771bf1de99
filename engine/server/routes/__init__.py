"""The routes, by what they are about. Each module has a table ``ROUTES``; `engine.server.app` puts them together."""
