"""Networks of the supported model families: plain torch modules, sized by frozen dataclasses."""
