"""A pack that exercises the schema style."""

import asyncio

from comfy_api.latest import ComfyAPI, ComfyAPISync, ComfyExtension, Input, io, ui
from comfy_execution.graph_utils import GraphBuilder

CALLS = []
Own = io.Custom("OWN_TYPE")


class SAdd(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SAdd",
            display_name="Add",
            category="test/schema",
            description="Add two numbers.",
            inputs=[
                io.Int.Input("a", default=1, min=0, max=10, tooltip="one"),
                io.Int.Input("b", display_name="B", optional=True, default=2),
            ],
            outputs=[io.Int.Output("sum", display_name="Sum", tooltip="a + b"), io.String.Output()],
        )

    @classmethod
    def execute(cls, a, b=100):
        CALLS.append(("SAdd", a, b))
        return io.NodeOutput(a + b, f"{a}+{b}")


class SKinds(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SKinds",
            category="test/schema",
            inputs=[
                io.Boolean.Input("yes", default=True),
                io.Float.Input("f", default=0.5, min=0.0, max=1.0, step=0.1, display_mode=io.NumberDisplay.slider),
                io.String.Input("s", multiline=True, default="x", dynamic_prompts=True),
                io.Combo.Input("c", options=["a", "b"], default="b"),
                io.MultiCombo.Input("m", options=["p", "q", "r"], default=["p"]),
                io.MultiType.Input(io.Float.Input("n", default=1.5), types=[io.Int, io.String]),
                Own.Input("own", optional=True),
                io.AnyType.Input("any", optional=True),
            ],
            outputs=[io.AnyType.Output()],
        )

    @classmethod
    def execute(cls, **kwargs):
        return io.NodeOutput(kwargs)


class SOwn(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="SOwn", inputs=[], outputs=[Own.Output("own")])

    @classmethod
    def execute(cls):
        return io.NodeOutput({"mine": 1})


class SHidden(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SHidden",
            inputs=[io.Int.Input("tick", default=0)],
            outputs=[io.AnyType.Output()],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt, io.Hidden.dynprompt],
        )

    @classmethod
    def execute(cls, tick):
        return io.NodeOutput((cls.hidden.unique_id, len(cls.hidden.prompt), cls.hidden.dynprompt.has_node("1")))


class SState(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="SState", inputs=[], outputs=[io.Int.Output()])

    @classmethod
    def execute(cls):
        cls.count = 1
        return io.NodeOutput(cls.count)


class SReturns(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        forms = ["output", "dict", "tuple", "blocked", "blocked values", "ui", "short", "bare", "empty"]
        return io.Schema(
            node_id="SReturns",
            inputs=[io.Combo.Input("form", options=forms)],
            outputs=[io.Int.Output("a"), io.Int.Output("b")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, form):
        return {
            "output": io.NodeOutput(1, 2),
            "dict": {"ui": {"note": ["n"]}, "result": (1, 2)},
            "tuple": (1, 2),
            "blocked": io.NodeOutput(block_execution="not today"),
            "blocked values": io.NodeOutput(1, 2, block_execution="not today"),
            "ui": io.NodeOutput(1, 2, ui=ui.PreviewText("hello")),
            "short": io.NodeOutput(1),
            "bare": 3,
            "empty": io.NodeOutput(),
        }[form]


class SAsync(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="SAsync", inputs=[io.Int.Input("value")], outputs=[io.Int.Output()])

    @classmethod
    async def execute(cls, value):
        await asyncio.sleep(0)
        await ComfyAPI().execution.set_progress(value, 10)
        return io.NodeOutput(value + 1)


class SProgress(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="SProgress", inputs=[io.Int.Input("value")], outputs=[io.Int.Output()])

    @classmethod
    def execute(cls, value):
        ComfyAPISync().execution.set_progress(value, 10)
        return io.NodeOutput(value)


class SChecked(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="SChecked", inputs=[io.Int.Input("value", min=0, max=10)], outputs=[io.Int.Output()])

    @classmethod
    def validate_inputs(cls, value):
        return True if value != 13 else "thirteen is not allowed"

    @classmethod
    def fingerprint_inputs(cls, value):
        CALLS.append(("fingerprint", value))
        return float("nan") if value == 7 else value

    @classmethod
    def execute(cls, value):
        CALLS.append(("SChecked", value))
        return io.NodeOutput(value)


class SLazy(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SLazy",
            inputs=[io.Boolean.Input("which"), io.AnyType.Input("yes", lazy=True), io.AnyType.Input("no", lazy=True)],
            outputs=[io.AnyType.Output()],
        )

    @classmethod
    def check_lazy_status(cls, which, yes=None, no=None):
        return ["yes" if which else "no"]

    @classmethod
    def execute(cls, which, yes=None, no=None):
        return io.NodeOutput((yes, no))


class SList(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SList",
            is_input_list=True,
            inputs=[io.AnyType.Input("values")],
            outputs=[io.AnyType.Output("whole"), io.AnyType.Output("each", is_output_list=True)],
        )

    @classmethod
    def execute(cls, values):
        return io.NodeOutput(values, [*values, "end"])


class SGrow(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        prefix = io.Autogrow.TemplatePrefix(io.Int.Input("n", force_input=True), prefix="n", min=1, max=4)
        names = io.Autogrow.TemplateNames(io.Int.Input("x", force_input=True), names=["left", "right"], min=0)
        return io.Schema(
            node_id="SGrow",
            inputs=[io.Autogrow.Input("many", template=prefix), io.Autogrow.Input("sides", template=names)],
            outputs=[io.AnyType.Output()],
        )

    @classmethod
    def execute(cls, many, sides):
        return io.NodeOutput((many, sides))


class SChoice(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        inner = io.DynamicCombo.Input(
            "unit", options=[io.DynamicCombo.Option("px", []), io.DynamicCombo.Option("cm", [io.Int.Input("dpi")])]
        )
        options = [
            io.DynamicCombo.Option("size", [io.Int.Input("width", min=1, max=100), inner]),
            io.DynamicCombo.Option("scale", [io.Float.Input("by", default=2.0)]),
        ]
        return io.Schema(
            node_id="SChoice",
            inputs=[io.DynamicCombo.Input("how", options=options), io.Int.Input("plain", default=1)],
            outputs=[io.AnyType.Output()],
        )

    @classmethod
    def execute(cls, how, plain):
        return io.NodeOutput((how, plain))


class SMatch(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        template = io.MatchType.Template("T")
        return io.Schema(
            node_id="SMatch",
            inputs=[io.MatchType.Input("a", template=template), io.MatchType.Input("b", template=template)],
            outputs=[io.MatchType.Output(template=template, id="out")],
        )

    @classmethod
    def execute(cls, a, b):
        return io.NodeOutput((a, b))


class SMatchSome(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        template = io.MatchType.Template("T", allowed_types=[io.Int, io.Float])
        return io.Schema(
            node_id="SMatchSome",
            inputs=[io.MatchType.Input("a", template=template)],
            outputs=[io.MatchType.Output(template=template)],
        )

    @classmethod
    def execute(cls, a):
        return io.NodeOutput(a)


class SExpand(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SExpand",
            inputs=[io.Int.Input("a", force_input=True)],
            outputs=[io.Int.Output()],
            enable_expand=True,
        )

    @classmethod
    def execute(cls, a):
        graph = GraphBuilder()
        node = graph.node("SAdd", a=a, b=10)
        return io.NodeOutput(node.out(0), expand=graph.finalize())


class SPreview(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="SPreview", inputs=[io.Image.Input("images")], outputs=[], is_output_node=True)

    @classmethod
    def execute(cls, images: Input.Image) -> io.NodeOutput:
        return io.NodeOutput(ui=ui.PreviewImage(images, cls=cls))


class SRaw(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="SRaw", inputs=[io.AnyType.Input("a", raw_link=True)], outputs=[io.AnyType.Output()])

    @classmethod
    def execute(cls, a):
        return io.NodeOutput(a)


class SNotIdempotent(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SNotIdempotent", inputs=[io.Int.Input("a")], outputs=[io.Int.Output()], not_idempotent=True
        )

    @classmethod
    def execute(cls, a):
        CALLS.append(("once", a))
        return io.NodeOutput(a)


class SDouble(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="SDouble", inputs=[io.Int.Input("a"), io.Int.Input("a")], outputs=[])


class Extension(ComfyExtension):
    loaded = False

    async def on_load(self):
        Extension.loaded = True

    async def get_node_list(self):
        return [
            *(SAdd, SKinds, SOwn, SHidden, SState, SReturns, SAsync, SProgress, SChecked, SLazy, SList, SGrow),
            *(SChoice, SMatch, SMatchSome, SExpand, SPreview, SRaw, SNotIdempotent, SDouble),
        ]


async def comfy_entrypoint():
    return Extension()
