"""IS_CHANGED and VALIDATE_INPUTS, and the progress bar."""

import asyncio
import pathlib

import comfy.utils
import folder_paths

from .basics import ANY
from .log import CALLS

WORLD = {"changed": 1}


class _Node:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"value": ("INT", {"default": 1, "min": 0, "max": 10})},
            "optional": {"link": (ANY, {}), "pick": (["a", "b"], {})},
        }

    RETURN_TYPES = ("INT",)
    FUNCTION = "go"
    CATEGORY = "test/hooks"

    def go(self, value, link=None, pick=None):
        CALLS.append((type(self).__name__, value))
        return (value,)


class TChangedConstant(_Node):
    @classmethod
    def IS_CHANGED(cls, value, link=None):
        CALLS.append(("asked", value, link))
        return WORLD["changed"]


class TChangedNaN(_Node):
    @classmethod
    def IS_CHANGED(cls, **kwargs):
        return float("NaN")


class TChangedRaises(_Node):
    @classmethod
    def IS_CHANGED(cls, **kwargs):
        raise OSError("gone")


class TChangedAsync(_Node):
    @classmethod
    async def IS_CHANGED(cls, value):
        await asyncio.sleep(0)
        return WORLD["changed"]


class TNotIdempotent(_Node):
    NOT_IDEMPOTENT = True


class TValidate(_Node):
    """Takes what is out of the declared range, and refuses 13."""

    @classmethod
    def VALIDATE_INPUTS(cls, value):
        return "thirteen is not allowed" if value == 13 else True


class TValidateFalse(_Node):
    @classmethod
    def VALIDATE_INPUTS(cls, value):
        return value != 5


class TValidateAll(_Node):
    @classmethod
    def VALIDATE_INPUTS(cls, **kwargs):
        CALLS.append(("validate", dict(sorted(kwargs.items()))))
        return True


class TValidateTypes(_Node):
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"forceInput": True})}}

    @classmethod
    def VALIDATE_INPUTS(cls, input_types):
        CALLS.append(("types", input_types))
        return True if input_types.get("value") in ("INT", "STRING") else f"no {input_types['value']} here"


class TValidateAsync(_Node):
    @classmethod
    async def VALIDATE_INPUTS(cls, value):
        await asyncio.sleep(0)
        return "too much" if value > 50 else True


class TValidateRaises(_Node):
    @classmethod
    def VALIDATE_INPUTS(cls, value):
        raise KeyError("oh")


class TValidateLink(_Node):
    @classmethod
    def VALIDATE_INPUTS(cls, link):
        CALLS.append(("link", link))
        return True


class TValidateList(_Node):
    INPUT_IS_LIST = True

    @classmethod
    def VALIDATE_INPUTS(cls, value):
        CALLS.append(("listed", value))
        return True


class TFiles:
    """Offers the files of the input folder."""

    @classmethod
    def INPUT_TYPES(cls):
        files = sorted(one.name for one in pathlib.Path(folder_paths.get_input_directory()).glob("*.txt"))
        return {"required": {"file": (files, {})}}

    RETURN_TYPES = ("STRING",)
    FUNCTION = "go"
    CATEGORY = "test/hooks"

    @classmethod
    def IS_CHANGED(cls, file):
        return pathlib.Path(folder_paths.get_annotated_filepath(file)).read_text()

    def go(self, file):
        return (pathlib.Path(folder_paths.get_annotated_filepath(file)).read_text(),)


class TProgress:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"steps": ("INT", {"default": 3, "max": 1000})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "go"
    CATEGORY = "test/hooks"

    def go(self, steps):
        bar = comfy.utils.ProgressBar(steps)
        for _ in range(steps):
            bar.update(1)
        return (steps,)


MAPPINGS = {
    one.__name__: one
    for one in (
        *(TChangedConstant, TChangedNaN, TChangedRaises, TChangedAsync, TNotIdempotent, TFiles, TProgress),
        *(TValidate, TValidateFalse, TValidateAll, TValidateTypes, TValidateAsync, TValidateRaises, TValidateLink),
        TValidateList,
    )
}
