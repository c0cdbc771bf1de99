import { expect, it } from "vitest";
import { commandFromText, commandToText, stepFromText, stepToText } from "../../src/document/journal";
import { toSubgraph } from "../../src/document/operations/subgraphs";
import { createDocument } from "../../src/document/store";
import { ROOT, type Command } from "../../src/document/types";
import { graph, link, node, plain, workflow } from "./samples";

it("commands done again from their text give the same document", () => {
  const start = () =>
    workflow(graph([node("1", { title: "One" }), node("2"), node("3")], [link("x", "1", "2"), link("y", "2", "3")]));
  const document = createDocument(start());
  const commands: Command[] = [
    { do: "updateNode", graph: ROOT, id: "1", set: { title: undefined, collapsed: true } },
    { do: "setValue", graph: ROOT, id: "1", input: "a", value: { deep: [null, "\u2028"] } },
    { do: "setValue", graph: ROOT, id: "1", input: "b", value: undefined },
    toSubgraph(document.workflow, ROOT, ["2"], "Part").command,
  ];
  for (const command of commands) document.apply(command, "step");
  const again = createDocument(start());
  for (const step of document.history) again.apply(stepFromText(stepToText(step)).forward, step.label);
  expect(plain(again.workflow)).toBe(plain(document.workflow));
  expect("title" in again.node(ROOT, "1")!).toBe(false);
  for (const step of document.history.toReversed()) again.apply(commandFromText(commandToText(step.inverse)), "back");
  expect(plain(again.workflow)).toBe(plain(start()));
});
