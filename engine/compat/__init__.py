"""What node packs of the ecosystem expect: their two class contracts and the names they import, over our own engine.

    class_nodes.py     classes with INPUT_TYPES          -> NodeType
    schema_nodes.py    classes with define_schema        -> NodeType
    packs.py           folders and files -> loaded packs -> NodeTypes; one broken pack stops nothing
    trust.py           which packs the user approved, by the digest of their whole tree
    shims/             the modules that packs import (`folder_paths`, `comfy.utils`, `comfy_api.latest` …)

Nothing here is imported unless a pack is there to be loaded.
"""
