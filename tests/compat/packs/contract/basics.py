"""Inputs, outputs, lists, hidden inputs, return forms."""

import asyncio

from comfy.comfy_types import IO

from .log import CALLS, SHOWN


class AnyType(str):
    def __ne__(self, other):
        return False


class FlexibleInputs(dict):
    """Has an answer for any name."""

    def __contains__(self, key):
        return True

    def __getitem__(self, key):
        return (AnyType("ANYTHING"), {})


ANY = AnyType("ANYTHING")


class TNumber:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"default": 5, "min": 0, "max": 100, "step": 1, "tooltip": "a number"})}}

    RETURN_TYPES = ("INT",)
    RETURN_NAMES = ("number",)
    OUTPUT_TOOLTIPS = ("the number",)
    FUNCTION = "go"
    CATEGORY = "test/basics"
    DESCRIPTION = "Give a number."

    def go(self, value):
        CALLS.append(("TNumber", value))
        return (value,)


class TShow:
    """Keeps what it is given, by its id."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": (ANY, {})}, "hidden": {"unique_id": "UNIQUE_ID"}}

    RETURN_TYPES = ()
    FUNCTION = "go"
    CATEGORY = "test/basics"
    OUTPUT_NODE = True

    def go(self, value, unique_id):
        SHOWN.setdefault(unique_id, []).append(value)
        return {"ui": {"text": [str(value)]}}


class TShowList(TShow):
    INPUT_IS_LIST = True

    def go(self, value, unique_id):
        SHOWN[unique_id[0]] = value
        return {"ui": {"text": [str(one) for one in value]}}


class TKinds:
    """Has one input of each kind with a widget."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "i": ("INT", {"default": 1, "min": 0, "max": 9}),
                "f": ("FLOAT", {"default": 0.5, "min": 0.0, "max": 1.0, "step": 0.1, "round": 0.01}),
                "s": ("STRING", {"default": "x", "multiline": True, "dynamicPrompts": True}),
                "b": ("BOOLEAN", {"default": True, "label_on": "yes", "label_off": "no"}),
                "c": (["a", "b", "c"], {"default": "b"}),
                "d": ("COMBO", {"options": ["x", "y"]}),
            },
            "optional": {"o": ("INT", {"default": 3}), "w": ("MY_WIDGET", {})},
        }

    RETURN_TYPES = (ANY,)
    FUNCTION = "go"
    CATEGORY = "test/basics"

    def go(self, **kwargs):
        return (kwargs,)


class TOptional:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}, "optional": {"a": ("INT", {"default": 7}), "b": ("INT", {"forceInput": True})}}

    RETURN_TYPES = (IO.ANY,)
    FUNCTION = "go"
    CATEGORY = "test/basics"

    def go(self, a="no a", b="no b"):
        return ((a, b),)


class TVariadic:
    """Takes any number of linked inputs that it does not declare."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {"forceInput": True})}}

    RETURN_TYPES = (ANY,)
    FUNCTION = "go"
    CATEGORY = "test/basics"

    def go(self, **kwargs):
        return (dict(sorted(kwargs.items())),)


class TFlexible:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}, "optional": FlexibleInputs()}

    RETURN_TYPES = (ANY,)
    FUNCTION = "go"
    CATEGORY = "test/basics"

    def go(self, **kwargs):
        return (dict(sorted(kwargs.items())),)


class TTwo:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT,FLOAT", {"min": -1000}), "b": ("INT", {"default": 2})}}

    RETURN_TYPES = ("INT", "STRING")
    RETURN_NAMES = ("sum",)
    FUNCTION = "go"
    CATEGORY = "test/basics"

    def go(self, a, b):
        CALLS.append(("TTwo", a, b))
        return (a + b, f"{a},{b}")


class TMakeList:
    """Turns a text into a list."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING", {"default": ""})}}

    RETURN_TYPES = ("INT", "INT")
    OUTPUT_IS_LIST = (True, False)
    FUNCTION = "go"
    CATEGORY = "test/lists"

    def go(self, text):
        items = [int(one) for one in text.split(",") if one]
        return (items, len(items))


class TWhole:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"a": ("INT", {"forceInput": True}), "mode": (["sum", "all"], {"default": "sum"})},
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    RETURN_TYPES = (ANY, "INT")
    OUTPUT_IS_LIST = (False, True)
    INPUT_IS_LIST = True
    FUNCTION = "go"
    CATEGORY = "test/lists"

    def go(self, a, mode, unique_id):
        return ((a, mode, unique_id), [*a, 100])


class THidden:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"any": (ANY, {})},
            "hidden": {
                "prompt": "PROMPT",
                "info": "EXTRA_PNGINFO",
                "me": "UNIQUE_ID",
                "live": "DYNPROMPT",
                "auth": "AUTH_TOKEN_COMFY_ORG",
                "key": "API_KEY_COMFY_ORG",
            },
        }

    RETURN_TYPES = (ANY,)
    FUNCTION = "go"
    CATEGORY = "test/basics"

    def go(self, any, prompt, info, me, live, auth, key):
        facts = {
            "types": sorted(one["class_type"] for one in prompt.values()),
            "info": info,
            "me": me,
            "auth": auth,
            "key": key,
            "node": live.get_node(me),
            "has": [live.has_node(me), live.has_node("nowhere")],
            "parent": live.get_parent_node_id(me),
            "real": live.get_real_node_id(me),
            "display": live.get_display_node_id(me),
            "ids": sorted(live.all_node_ids()),
        }
        return (facts,)


class TState:
    """Counts its own calls."""

    def __init__(self):
        self.count = 0

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"tick": ("INT", {"default": 0})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "go"
    CATEGORY = "test/basics"
    NOT_IDEMPOTENT = True

    def go(self, tick):
        self.count += 1
        return (self.count,)


class TRaw:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {"rawLink": True})}}

    RETURN_TYPES = (ANY,)
    FUNCTION = "go"
    CATEGORY = "test/basics"

    def go(self, a):
        return (a,)


class TAsync:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"default": 1}), "seconds": ("FLOAT", {"default": 0.0, "max": 5})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "go"
    CATEGORY = "test/async"

    async def go(self, value, seconds):
        CALLS.append(("begin", value))
        await asyncio.sleep(seconds)
        CALLS.append(("end", value))
        if value < 0:
            raise ValueError("below zero")
        return (value * 10,)


class TReturns:
    """Returns what its input names."""

    @classmethod
    def INPUT_TYPES(cls):
        forms = ["tuple", "list", "none", "bare", "short", "long", "dict", "ui only", "result", "odd dict", "text"]
        return {"required": {"form": (forms, {})}}

    RETURN_TYPES = ("INT", "INT")
    FUNCTION = "go"
    CATEGORY = "test/basics"
    OUTPUT_NODE = True

    def go(self, form):
        return {
            "tuple": (1, 2),
            "list": [1, 2],
            "none": None,
            "bare": 5,
            "short": (1,),
            "long": (1, 2, 3),
            "dict": {"ui": {"note": ["n"]}, "result": (1, 2)},
            "ui only": {"ui": {"note": ["n"]}},
            "result": {"result": (1, 2)},
            "odd dict": {"images": []},
            "text": "ab",
        }[form]


class TFail:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"how": (["raise", "exit", "interrupt"], {})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "go"
    CATEGORY = "test/basics"

    def go(self, how):
        if how == "exit":
            raise SystemExit(3)
        if how == "interrupt":
            from comfy.model_management import InterruptProcessingException

            raise InterruptProcessingException()
        raise RuntimeError("on purpose")


class TTensor:
    """Says in which mode it runs."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"size": ("INT", {"default": 2})}}

    RETURN_TYPES = ("IMAGE", "BOOLEAN")
    FUNCTION = "go"
    CATEGORY = "test/basics"

    def go(self, size):
        import torch

        return (torch.zeros(1, size, size, 3), torch.is_inference_mode_enabled())


class TPatch:
    """Asks a model for what packs ask models for."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": (ANY, {})}}

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "go"
    CATEGORY = "test/basics"

    def go(self, model):
        return (model.clone(),)


class TFlags:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    RETURN_TYPES = "IMAGE"  # a tuple was meant
    FUNCTION = "go"
    CATEGORY = "test/basics"
    DEPRECATED = True
    EXPERIMENTAL = True

    def go(self):
        return (None,)


class TNoFunction:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    RETURN_TYPES = ()
    FUNCTION = "missing"


class TNoInputs:
    RETURN_TYPES = ()
    FUNCTION = "go"

    def go(self):
        return ()


class TBadInputs:
    @classmethod
    def INPUT_TYPES(cls):
        raise OSError("the folder is gone")

    RETURN_TYPES = ()
    FUNCTION = "go"

    def go(self):
        return ()


class TComboOut:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"pick": (["a", "b"],)}}

    RETURN_TYPES = (["a", "b"],)
    FUNCTION = "go"
    CATEGORY = "test/basics"

    def go(self, pick):
        return (pick,)


MAPPINGS = {
    one.__name__: one
    for one in (
        *(TNumber, TShow, TShowList, TKinds, TOptional, TVariadic, TFlexible, TTwo, TMakeList, TWhole, THidden),
        *(
            TState,
            TRaw,
            TAsync,
            TReturns,
            TFail,
            TTensor,
            TFlags,
            TPatch,
            TNoFunction,
            TNoInputs,
            TBadInputs,
            TComboOut,
        ),
    )
}
MAPPINGS["KSampler"] = TNumber
