"""The words of the protocol for what the executor says: a story is told events, and what it tells is looked at."""

from __future__ import annotations

from typing import Any

from server_client import prompt

from engine.server.story import Message, Story

GRAPH = prompt(
    a=("Make", {}), b=("Make", {}), lazy=("Make", {}), pick=("Pick", {"one": "a:0", "other": "lazy:0"}),
    out=("Show", {"value": "pick:0"}), other=("Show", {"value": "b:0"}),
)  # fmt: skip


def story() -> Story:
    made = Story("job", GRAPH, {"Pick": frozenset({"other"})})
    made.begin()
    return made


def tell(to: Story, name: str, **facts: Any) -> list[Message]:
    return to.hear({"event": name, **facts})


def kinds(messages: list[Message]) -> list[str]:
    return [one.type for one in messages]


def report(state: str, **facts: Any) -> dict[str, Any]:
    return {"state": state, "outputs": {}, "running": [], "problems": [], **facts}


def test_cached_nodes_are_told_at_once_with_what_feeds_them_but_not_what_was_never_asked_for() -> None:
    one = story()
    assert tell(one, "run_started", outputs=["out", "other"], steps=["b", "other"]) == []
    assert tell(one, "node_cached", node_id="out", ui={"text": ["x"]}, files=[], display_id=None) == []
    told = tell(one, "node_started", node_id="b", display_id=None)
    assert kinds(told) == ["execution_cached", "executed", "progress_state", "executing"]
    assert sorted(told[0].data["nodes"]) == ["a", "out", "pick"], "lazy was never asked for, b runs"
    assert told[1].data["output"] == {"text": ["x"]}


def test_a_node_that_turns_out_to_be_cached_is_told_then() -> None:
    one = story()
    tell(one, "run_started", outputs=["other"], steps=["b", "other"])
    tell(one, "node_started", node_id="b", display_id=None)
    tell(one, "node_finished", node_id="b", seconds=0.1, ui={}, files=[], display_id=None)
    told = tell(one, "node_cached", node_id="other", ui={"text": ["y"]}, files=[], display_id=None)
    assert kinds(told) == ["execution_cached", "executed"] and told[0].data["nodes"] == ["other"]
    state, end = one.end(report("done", outputs={"other": "cached"}))
    assert (state, end.type) == ("completed", "execution_success")
    assert one.shown == {"other": {"text": ["y"]}} and one.states == {"other": "cached"}


def test_a_blocked_output_with_a_reason_is_an_error_and_without_one_is_none() -> None:
    for message, expected in (("not tonight", "execution_error"), (None, "execution_success")):
        one = story()
        tell(one, "run_started", outputs=["out"], steps=["a", "pick", "out"])
        tell(one, "node_blocked", node_id="out", message=message, display_id=None)
        state, end = one.end(report("failed" if message else "done"))
        assert end.type == expected and kinds([end]).count(expected) == 1
        if message:
            assert end.data["exception_type"] == "ExecutionBlocked" and end.data["exception_message"] == message
            assert (state, end.data["node_id"], end.data["node_type"]) == ("failed", "out", "Show")


def test_nodes_that_others_made_are_shown_at_theirs() -> None:
    one = story()
    tell(one, "run_started", outputs=["out"], steps=["pick", "out"])
    told = tell(one, "node_started", node_id="pick.0.1", display_id="pick")
    assert told[-1].data == {"node": "pick.0.1", "display_node": "pick", "prompt_id": "job"}
    assert one.preview_facts("pick.0.1")["parent_node_id"] == "pick"
    state = told[-2].data["nodes"]["pick.0.1"]
    assert state["display_node_id"] == "pick" and state["real_node_id"] == "pick.0.1"
    told = tell(one, "node_finished", node_id="pick.0.1", seconds=0, ui={"text": ["z"]}, files=[], display_id="pick")
    assert told[-1].type == "executed" and told[-1].data["display_node"] == "pick"
    assert one.meta["pick.0.1"] == {
        "node_id": "pick.0.1", "display_node": "pick", "parent_node": "pick", "real_node_id": "pick.0.1",
    }  # fmt: skip


def test_the_first_of_several_failures_is_the_error_and_the_others_stand_beside_it() -> None:
    one = story()
    tell(one, "run_started", outputs=["out", "other"], steps=["a", "b", "out", "other"])
    for node, text in (("a", "ValueError: first"), ("b", "KeyError: second")):
        tell(one, "node_started", node_id=node, display_id=None)
        problem = {"code": "E-NODE", "message": text, "node_id": node, "node_title": "Make", "hint": None}
        told = tell(one, "node_failed", node_id=node, problem=problem, display_id=None)
        assert told[-1].data["nodes"][node]["state"] == "error"
    _, end = one.end(report("failed"))
    assert (end.data["node_id"], end.data["exception_type"], end.data["exception_message"]) == (
        "a",
        "ValueError",
        "first",
    )
    assert end.data["also"] == ['node b "Make": KeyError: second']


def test_an_interrupted_job_names_the_node_that_ran() -> None:
    one = story()
    tell(one, "run_started", outputs=["out"], steps=["a", "pick", "out"])
    tell(one, "node_started", node_id="a", display_id=None)
    assert [message.type for message in one.snapshot()] == ["executing", "progress_state"]
    state, end = one.end(report("cancelled", running=["a"]))
    assert (state, end.type, end.data["node_id"]) == ("cancelled", "execution_interrupted", "a")


def test_a_large_graph_is_not_told_whole_at_every_step() -> None:
    one = story()
    tell(one, "run_started", outputs=[], steps=[])
    size = 0
    for number in range(2000):
        for event in ("node_started", "node_finished"):
            told = tell(one, event, node_id=f"n{number}", seconds=0, ui={}, files=[], display_id=None)
            size += sum(len(message.data["nodes"]) for message in told if message.type == "progress_state")
    assert size < 60_000, f"{size} entries were told for 2,000 nodes"


def test_what_nodes_took_and_made_is_told_and_kept() -> None:
    one = story()
    tell(one, "run_started", outputs=["out"], steps=["a", "out"])
    tell(one, "node_cached", node_id="b", ui={}, files=[], display_id=None, tier="disk")
    for seconds, peak in ((0.5, 7), (0.25, 3)):  # two rounds of a loop
        tell(one, "node_started", node_id="a", display_id=None)
        file = {"path": "/secret/place/x_1.png", "folder": "output", "subfolder": "s", "sha256": ""}
        usage = {"peak_bytes": peak, "moved_bytes": 0}
        told = tell(
            one, "node_finished", node_id="a", seconds=seconds, ui={}, files=[file], display_id=None, usage=usage
        )
    nodes = next(message for message in told if message.type == "progress_state").data["nodes"]
    assert nodes["b"]["tier"] == "disk" and "seconds" not in nodes["b"]
    assert (nodes["a"]["seconds"], nodes["a"]["peak_bytes"]) == (0.75, 7)
    assert nodes["a"]["files"] == [{"filename": "x_1.png", "subfolder": "s", "type": "output"}] * 2
    one.end(report("done"))
    assert one.meta["a"]["seconds"] == 0.75 and one.meta["b"]["tier"] == "disk"
    assert "secret" not in str(one.meta)
