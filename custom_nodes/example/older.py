"""The same kind of thing as a class, as node packs of the ecosystem write it."""


class ExampleWordCount:
    """Counts the words of a text."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING", {"multiline": True, "default": "", "tooltip": "what to count"})}}

    RETURN_TYPES = ("INT",)
    RETURN_NAMES = ("words",)
    FUNCTION = "count"
    CATEGORY = "examples"
    DESCRIPTION = "Count the words of a text."

    def count(self, text):
        return (len(text.split()),)


NODE_CLASS_MAPPINGS = {"ExampleWordCount": ExampleWordCount}
NODE_DISPLAY_NAME_MAPPINGS = {"ExampleWordCount": "Count Words"}
