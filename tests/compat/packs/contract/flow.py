"""Lazy inputs, expansion, blocking."""

from comfy_execution.graph import ExecutionBlocker
from comfy_execution.graph_utils import GraphBuilder, is_link
from comfy_execution.utils import get_executing_context

from .basics import ANY
from .log import CALLS


class TSwitch:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "which": ("BOOLEAN,INT", {"default": True}),
                "yes": (ANY, {"lazy": True}),
                "no": (ANY, {"lazy": True}),
            }
        }

    RETURN_TYPES = (ANY,)
    FUNCTION = "go"
    CATEGORY = "test/flow"

    def check_lazy_status(self, which, yes, no):
        CALLS.append(("lazy", which, yes, no))
        if which and yes is None:
            return ["yes"]
        if not which and no is None:
            return ["no"]
        return None

    def go(self, which, yes, no):
        return (yes if which else no,)


class TSwitchAsync(TSwitch):
    async def check_lazy_status(self, which, yes=None, no=None):
        return ["yes"] if which else ["no"]


class TSwitchList(TSwitch):
    INPUT_IS_LIST = True

    def check_lazy_status(self, which, yes, no):
        CALLS.append(("lazy", which, yes, no))
        return [name for name, value in (("yes", yes), ("no", no)) if value == (None,) and which[0] == (name == "yes")]

    def go(self, which, yes, no):
        return ((yes, no),)


class TLazyWrong(TSwitch):
    def check_lazy_status(self, **kwargs):
        return ["nothing like it"]


class TExpandSum:
    """Adds by building the nodes that add."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {"forceInput": True}), "times": ("INT", {"default": 2, "min": 0, "max": 50})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "go"
    CATEGORY = "test/flow"

    def go(self, a, times):
        if times == 0:
            return (a,)
        graph = GraphBuilder()
        total = graph.node("TTwo", a=a, b=0)
        for _ in range(times - 1):
            total = graph.node("TTwo", a=total.out(0), b=a)
        CALLS.append(("ids", sorted(graph.nodes)))
        return {"result": (total.out(0),), "expand": graph.finalize()}


class TExpandObject:
    """Hands an object to a node that it makes."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {"default": 1})}}

    RETURN_TYPES = (ANY,)
    FUNCTION = "go"
    CATEGORY = "test/flow"

    def go(self, a):
        graph = GraphBuilder()
        node = graph.node("TPass", value={"a", a})
        return {"result": (node.out(0),), "expand": graph.finalize()}


class TPass:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": (ANY, {})}}

    RETURN_TYPES = (ANY,)
    FUNCTION = "go"
    CATEGORY = "test/flow"

    def go(self, value):
        return (value,)


class TCountDown:
    """Makes a copy of itself until nothing is left."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"left": ("INT", {"default": 3}), "total": ("INT", {"default": 0})},
            "hidden": {"me": "UNIQUE_ID", "live": "DYNPROMPT"},
        }

    RETURN_TYPES = ("INT",)
    FUNCTION = "go"
    CATEGORY = "test/flow"

    def go(self, left, total, me, live):
        CALLS.append(("down", left, live.get_real_node_id(me), live.get_display_node_id(me)))
        if left == 0:
            return (total,)
        graph = GraphBuilder()
        again = graph.node("TCountDown", "Recurse", left=left - 1, total=total + left)
        again.set_override_display_id(me.split(".")[0])
        return {"result": (again.out(0),), "expand": graph.finalize()}


class TExpandShow:
    """Makes an output node."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {"default": 4})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "go"
    CATEGORY = "test/flow"

    def go(self, a):
        graph = GraphBuilder()
        graph.node("TShow", "show", value=a)
        return {"result": (a,), "expand": graph.finalize()}


class TExpandTaken:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {"default": 4})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "go"
    CATEGORY = "test/flow"

    def go(self, a):
        return {"result": (["1", 0],), "expand": {"1": {"class_type": "TNumber", "inputs": {"value": 1}}}}


class TCircle:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {"default": 4})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "go"
    CATEGORY = "test/flow"

    def go(self, a):
        graph = GraphBuilder()
        one = graph.node("TTwo", a=1, b=1)
        two = graph.node("TTwo", a=one.out(0), b=1)
        one.set_input("a", two.out(0))
        return {"result": (two.out(0),), "expand": graph.finalize()}


class TLoopOpen:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"start": (ANY, {})}}

    RETURN_TYPES = ("FLOW_CONTROL", ANY)
    FUNCTION = "go"
    CATEGORY = "test/flow"

    def go(self, start):
        return ("stub", start)


class TLoopClose:
    """Copies the nodes between its open node and itself until the condition is false, as packs build loops."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"flow": ("FLOW_CONTROL", {"rawLink": True}), "again": ("INT,BOOLEAN", {}), "value": (ANY, {})},
            "hidden": {"live": "DYNPROMPT", "me": "UNIQUE_ID"},
        }

    RETURN_TYPES = (ANY,)
    FUNCTION = "go"
    CATEGORY = "test/flow"

    def go(self, flow, again, value, live, me):
        if not again:
            return (value,)
        body, pending = {me: True}, [me]
        below = self.below(flow[0], live)
        while pending:
            for link in live.get_node(pending.pop())["inputs"].values():
                if is_link(link) and link[0] in below and link[0] not in body:
                    body[link[0]] = True
                    pending.append(link[0])
        graph = GraphBuilder()
        for id in body:
            entry = live.get_node(id)
            graph.node(entry["class_type"], "Recurse" if id == me else id).set_override_display_id(id)
        for id in body:
            node = graph.lookup_node("Recurse" if id == me else id)
            for name, link in live.get_node(id)["inputs"].items():
                if is_link(link) and link[0] in body:
                    link = graph.lookup_node("Recurse" if link[0] == me else link[0]).out(link[1])
                node.set_input(name, link)
        graph.lookup_node(flow[0]).set_input("start", value)
        return {"result": (graph.lookup_node("Recurse").out(0),), "expand": graph.finalize()}

    def below(self, start, live):
        found, grew = {start}, True
        while grew:
            more = {
                id
                for id in live.all_node_ids() - found
                if any(is_link(link) and link[0] in found for link in live.get_node(id)["inputs"].values())
            }
            grew = bool(more)
            found |= more
        return found


class TUntil:
    """Ends a loop by making the nodes that end it, as packs build loops that count from loops that ask."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "flow": ("FLOW_CONTROL", {"rawLink": True}),
                "value": (ANY, {"rawLink": True}),
                "limit": ("INT", {"default": 100}),
            }
        }

    RETURN_TYPES = (ANY,)
    FUNCTION = "go"
    CATEGORY = "test/flow"

    def go(self, flow, value, limit):
        graph = GraphBuilder()
        again = graph.node("TLess", a=value, than=limit)
        close = graph.node("TLoopClose", flow=flow, again=again.out(0), value=value)
        return {"result": (close.out(0),), "expand": graph.finalize()}


class TLess:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {"forceInput": True}), "than": ("INT", {"default": 100})}}

    RETURN_TYPES = ("BOOLEAN",)
    FUNCTION = "go"
    CATEGORY = "test/flow"

    def go(self, a, than):
        return (a < than,)


class TBlock:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "value": ("INT", {"default": 1}),
                "how": (["pass", "quiet", "loud", "first slot", "dict", "odd", "loud result"], {}),
            }
        }

    RETURN_TYPES = ("INT", "INT")
    FUNCTION = "go"
    CATEGORY = "test/flow"

    def go(self, value, how):
        if how == "quiet":
            return ExecutionBlocker(None)
        if how == "loud":
            return (ExecutionBlocker("not today"), ExecutionBlocker("not today"))
        if how == "first slot":
            return (ExecutionBlocker(None), value)
        if how == "dict":
            return {"ui": {"note": ["n"]}, "result": ExecutionBlocker(None)}
        if how == "odd":
            return (ExecutionBlocker(None) if value % 2 else value, value)
        if how == "loud result":
            return {"result": (ExecutionBlocker("told"), 1)}
        return (value, value)


class TWho:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"default": 1})}}

    RETURN_TYPES = (ANY,)
    FUNCTION = "go"
    CATEGORY = "test/flow"

    def go(self, value):
        found = get_executing_context()
        return ((found.node_id, found.list_index),)


class TIsLink:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {"rawLink": True})}}

    RETURN_TYPES = ("BOOLEAN",)
    FUNCTION = "go"
    CATEGORY = "test/flow"

    def go(self, a):
        return (is_link(a),)


MAPPINGS = {
    one.__name__: one
    for one in (
        *(TSwitch, TSwitchAsync, TSwitchList, TLazyWrong, TExpandSum, TExpandObject, TPass, TCountDown, TExpandShow),
        *(TExpandTaken, TCircle, TBlock, TWho, TIsLink, TLoopOpen, TLoopClose, TUntil, TLess),
    )
}
