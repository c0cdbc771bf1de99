/** Links: made, kept when a node between goes, and led through a reroute. */
import { linkIndex } from "../adjacency";
import { several } from "../commands";
import { freeIds } from "../nodes";
import { bypassSlot } from "../prompt/trace";
import {
  INPUTS,
  OUTPUTS,
  type Command,
  type Graph,
  type GraphNode,
  type InputSpec,
  type Link,
  type LinkId,
  type NodeId,
} from "../types";

/** The command that links an output to an input by name; a widget without a socket gets one. Nothing when it cannot. */
export function connect(
  graph: Graph,
  from: NodeId,
  output: number,
  to: NodeId,
  input: string,
  spec?: InputSpec,
): Command | undefined {
  const slots = from === INPUTS ? graph.inputs : graph.nodes.get(from)?.outputs;
  const type = slots?.[output]?.type;
  const targets = to === OUTPUTS ? graph.outputs : graph.nodes.get(to)?.inputs;
  if (type === undefined || targets === undefined) return undefined;
  const place = targets.findIndex((slot) => slot.name === input);
  if (place < 0 && (spec === undefined || to === OUTPUTS)) return undefined;
  const id = freeIds(graph.links.keys())();
  const link: Link = { id, from, output, to, input: place < 0 ? targets.length : place, type };
  const add: Command = { do: "addLinks", graph: graph.id, links: [link] };
  if (place >= 0) return add;
  const slot = { name: input, type: spec!.type, ...(spec!.widget && { widget: input }) };
  return several([{ do: "updateNode", graph: graph.id, id: to, set: { inputs: [...targets, slot] } }, add]);
}

/** Removes nodes and leads their links on, as bypassing them would. */
export function removeKeepingLinks(graph: Graph, ids: Iterable<NodeId>): Command {
  const gone = new Set([...ids].filter((id) => graph.nodes.has(id)));
  const index = linkIndex(graph.links);
  const linkId = freeIds(graph.links.keys());
  const links: Link[] = [];
  for (const id of gone) {
    for (const link of index.of(id).out) {
      if (gone.has(link.to)) continue;
      const source = beyond(graph, index, link, gone);
      if (source !== undefined)
        links.push({
          id: linkId(),
          from: source.from,
          output: source.output,
          to: link.to,
          input: link.input,
          type: source.type,
        });
    }
  }
  const remove: Command = { do: "removeNodes", graph: graph.id, ids: [...gone] };
  return links.length === 0 ? remove : several([remove, { do: "addLinks", graph: graph.id, links }]);
}

function beyond(graph: Graph, index: ReturnType<typeof linkIndex>, link: Link, gone: ReadonlySet<NodeId>): Link | undefined {
  const wanted = (link.to === OUTPUTS ? graph.outputs : graph.nodes.get(link.to)!.inputs)[link.input]!.type;
  const seen = new Set<LinkId>();
  let step: Link | undefined = link;
  while (step !== undefined && gone.has(step.from)) {
    if (seen.has(step.id)) return undefined;
    seen.add(step.id);
    const slot = bypassSlot(graph.nodes.get(step.from)!, step.output, wanted);
    step = slot === undefined ? undefined : index.into(step.from, slot);
  }
  return step;
}

/** Leads a link through a new reroute node. */
export function insertReroute(graph: Graph, id: LinkId, x: number, y: number): { command: Command; node: NodeId } {
  const link = graph.links.get(id)!;
  const node = freeIds(graph.nodes.keys())();
  const linkId = freeIds(graph.links.keys());
  const reroute: GraphNode = {
    id: node,
    type: "Reroute",
    mode: "always",
    values: {},
    inputs: [{ name: "", type: "*" }],
    outputs: [{ name: "", type: link.type }],
    x,
    y,
    width: 75,
    height: 26,
  };
  const links: Link[] = [
    { id: linkId(), from: link.from, output: link.output, to: node, input: 0, type: link.type },
    { id: linkId(), from: node, output: 0, to: link.to, input: link.input, type: link.type },
  ];
  const command = several([
    { do: "addNodes", graph: graph.id, nodes: [reroute] },
    { do: "removeLinks", graph: graph.id, ids: [id] },
    { do: "addLinks", graph: graph.id, links },
  ]);
  return { command, node };
}

/**
 * Shows links as pairs of named ends, or as lines again when all of them are such pairs. Links of one output have one
 * name, and no two outputs have the same.
 */
export function togglePortals(graph: Graph, ids: Iterable<LinkId>): Command {
  const links = [...new Set(ids)].flatMap((id) => graph.links.get(id) ?? []);
  const lines = links.some((link) => link.portal === undefined);
  const outputOf = (link: Link): string => `${link.from} ${link.output}`;
  const names = new Map<string, string>();
  for (const link of graph.links.values()) if (link.portal !== undefined) names.set(outputOf(link), link.portal);
  const taken = new Set(names.values());
  const nameOf = (link: Link): string => {
    const known = names.get(outputOf(link));
    if (known !== undefined) return known;
    const slot = (link.from === INPUTS ? graph.inputs : graph.nodes.get(link.from)?.outputs)?.[link.output];
    const wanted = slot?.label ?? (slot?.name || link.type);
    let name = wanted;
    for (let number = 2; taken.has(name); number++) name = `${wanted} ${number}`;
    taken.add(name);
    names.set(outputOf(link), name);
    return name;
  };
  return several(
    links.map((link) => ({
      do: "updateLink",
      graph: graph.id,
      id: link.id,
      set: lines ? { portal: nameOf(link), hidden: undefined } : { portal: undefined },
    })),
  );
}

/** Gives a portal another name, with all that come from the same output. */
export function namePortal(graph: Graph, id: LinkId, name: string): Command {
  const link = graph.links.get(id)!;
  const same = linkIndex(graph.links).of(link.from).out.filter((one) => one.output === link.output && one.portal === link.portal);
  return several(same.map((one) => ({ do: "updateLink", graph: graph.id, id: one.id, set: { portal: name } })));
}
