/** Group nodes, the older form of subgraphs, made into subgraphs on request. */
import { several } from "../commands";
import { withEntry } from "../json";
import { groupMember, groupName, groupOverrides, readGroupNodes } from "../prompt/groupNodes";
import type { Command, Graph, GraphId, GraphNode, Json, NodeId, Specs, Workflow } from "../types";
import { newDefinitionId, OperationError } from "./subgraphs";

/** Whether a node is a group node whose nodes the file holds. */
export function isGroupNode(workflow: Workflow, node: GraphNode): boolean {
  const name = groupName(node.type);
  return name !== undefined && readGroupNodes(workflow).has(name);
}

/** Makes a group node an instance of a subgraph that runs the same. Raises `OperationError` for any other node. */
export function groupToSubgraph(
  workflow: Workflow,
  graphId: GraphId,
  id: NodeId,
  specs: Specs,
): { command: Command; definition: GraphId } {
  const node = workflow.graphs.get(graphId)!.nodes.get(id);
  const name = node && groupName(node.type);
  const group = name === undefined ? undefined : readGroupNodes(workflow).get(name);
  if (node === undefined || name === undefined || group === undefined)
    throw new OperationError("the node is no group node");
  const set = new Map<NodeId, Record<string, Json>>();
  for (const [inner, widget, value] of groupOverrides(node, group, specs)) {
    let values = set.get(inner);
    if (values === undefined) set.set(inner, (values = {}));
    withEntry(values, widget, value);
  }
  const nodes = new Map(
    [...group.nodes].map(([inner, one]): [NodeId, GraphNode] => {
      const member = groupMember(one, specs);
      return [inner, { ...member, values: { ...member.values, ...set.get(inner) } }];
    }),
  );
  const { extra: _group, ...plain } = group;
  const definition: Graph = { ...plain, id: newDefinitionId(), name, nodes };
  const commands: Command[] = [
    { do: "putGraph", definition },
    // Its values were those of the nodes inside, by place: they stand there now.
    ...Object.keys(node.values).map((input): Command => ({ do: "setValue", graph: graphId, id, input, value: undefined })),
    {
      do: "updateNode",
      graph: graphId,
      id,
      set: { type: definition.id, title: node.title ?? name, extra: undefined },
    },
  ];
  return { command: several(commands), definition: definition.id };
}
