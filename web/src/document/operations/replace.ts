/** Another type for a node, and node types that changed since a file was saved. */
import { linkIndex } from "../adjacency";
import { several } from "../commands";
import { freeIds, newNode } from "../nodes";
import { compatible } from "../typeRules";
import type { Command, Graph, GraphId, GraphNode, Json, Link, NodeId, NodeSpec, Slot, Specs, Workflow } from "../types";

/** Gives a node another type; values and links go over by name, links also by type where no name fits. */
export function replaceType(graph: Graph, id: NodeId, spec: NodeSpec): Command {
  const node = graph.nodes.get(id)!;
  const fresh = newNode(spec, id, node.x, node.y);
  const inputs: Slot[] = [...fresh.inputs];
  const { in: incoming, out } = linkIndex(graph.links).of(id);
  const linkId = freeIds(graph.links.keys());
  const links: Link[] = [];
  const taken = new Set<number>();
  for (const link of incoming) {
    const place = inputFor(node.inputs[link.input]!, link.type, inputs, spec, taken);
    if (place === undefined) continue;
    taken.add(place);
    links.push({ ...link, id: linkId(), input: place });
  }
  for (const link of out) {
    const name = node.outputs[link.output]!.name;
    const fits = (slot: Slot) => compatible(slot.type, link.type);
    const named = fresh.outputs.findIndex((slot) => slot.name === name && fits(slot));
    const output = named >= 0 ? named : fresh.outputs.findIndex(fits);
    if (output >= 0) links.push({ ...link, id: linkId(), output, type: fresh.outputs[output]!.type });
  }
  const values: Record<string, Json> = { ...fresh.values };
  for (const [name, value] of Object.entries(node.values)) {
    const input = spec.inputs.find((one) => one.name === name.replace(/:(control|filter)$/, ""));
    const offered = input?.choices === undefined || name !== input.name || input.choices.includes(value);
    if (input?.widget === true && offered) values[name] = value;
  }
  return several([
    { do: "removeLinks", graph: graph.id, ids: [...incoming, ...out].map((link) => link.id) },
    {
      do: "updateNode",
      graph: graph.id,
      id,
      set: { type: spec.type, inputs, outputs: fresh.outputs, extra: undefined },
    },
    ...valueCommands(graph.id, node, values),
    ...(links.length > 0 ? [{ do: "addLinks", graph: graph.id, links } as const] : []),
  ]);
}

function inputFor(
  old: Slot,
  type: string,
  inputs: Slot[],
  spec: NodeSpec,
  taken: ReadonlySet<number>,
): number | undefined {
  const named = inputs.findIndex(
    (slot, place) => slot.name === old.name && compatible(type, slot.type) && !taken.has(place),
  );
  if (named >= 0) return named;
  const widget = spec.inputs.find((input) => input.widget && input.name === old.name && compatible(type, input.type));
  if (widget !== undefined) return inputs.push({ name: widget.name, type: widget.type, widget: widget.name }) - 1;
  const typed = inputs.findIndex((slot, place) => slot.type === type && !taken.has(place));
  return typed >= 0 ? typed : undefined;
}

function valueCommands(graph: GraphId, node: GraphNode, values: Readonly<Record<string, Json>>): Command[] {
  const names = new Set([...Object.keys(node.values), ...Object.keys(values)]);
  return [...names]
    .filter((name) => node.values[name] !== values[name])
    .map((input) => ({ do: "setValue", graph, id: node.id, input, value: values[input] }));
}

/** How nodes saved before a version of their type become what the type is now. */
export interface Migration {
  readonly type: string;
  /** Applies to nodes of an earlier version; nodes that name none are of version 0. */
  readonly version: number;
  readonly rename?: string;
  /** New names of inputs and outputs by their old ones. */
  readonly inputs?: Readonly<Record<string, string>>;
  readonly outputs?: Readonly<Record<string, string>>;
  /** Values that a node gets where it has none: what used to be the default. */
  readonly defaults?: Readonly<Record<string, Json>>;
  /** Said to the user. */
  readonly note: string;
}

export interface Migrated {
  readonly graph: GraphId;
  readonly node: NodeId;
  readonly note: string;
}

/** The command that brings all nodes up to date, and what was done to which. */
export function migrate(
  workflow: Workflow,
  migrations: readonly Migration[],
  specs: Specs,
): { command: Command; report: readonly Migrated[] } {
  const commands: Command[] = [];
  const report: Migrated[] = [];
  const ordered = [...migrations].sort((one, other) => one.version - other.version);
  for (const graph of workflow.graphs.values()) {
    for (const node of graph.nodes.values()) {
      let current = node;
      for (const migration of ordered) {
        if (migration.type !== current.type || versionOf(current) >= migration.version) continue;
        current = migrated(current, migration, specs);
        report.push({ graph: graph.id, node: node.id, note: migration.note });
      }
      if (current === node) continue;
      const { type, inputs, outputs, extra } = current;
      commands.push(
        { do: "updateNode", graph: graph.id, id: node.id, set: { type, inputs, outputs, extra } },
        ...valueCommands(graph.id, node, current.values),
      );
    }
  }
  return { command: several(commands), report };
}

function versionOf(node: GraphNode): number {
  const native = node.extra?.native;
  const version = typeof native === "object" && native !== null && "version" in native ? native.version : 0;
  return typeof version === "number" ? version : 0;
}

function migrated(node: GraphNode, migration: Migration, specs: Specs): GraphNode {
  const type = migration.rename ?? node.type;
  const renamed = (name: string, names: Readonly<Record<string, string>> | undefined) =>
    names && Object.hasOwn(names, name) ? names[name]! : name;
  const values = Object.fromEntries(
    Object.entries(node.values).map(([name, value]) => [renamed(name, migration.inputs), value]),
  );
  for (const [name, value] of Object.entries(migration.defaults ?? {})) values[name] ??= value;
  const known = specs.get(type);
  const inputs = node.inputs.map((slot) => {
    const name = renamed(slot.name, migration.inputs);
    const kind = known?.inputs.find((input) => input.name === name)?.type ?? slot.type;
    return {
      ...slot,
      name,
      type: kind,
      ...(slot.widget !== undefined && { widget: renamed(slot.widget, migration.inputs) }),
    };
  });
  const outputs = node.outputs.map((slot) => {
    const name = renamed(slot.name, migration.outputs);
    return { ...slot, name, type: known?.outputs.find((output) => output.name === name)?.type ?? slot.type };
  });
  const places = Array.isArray(node.extra?.places)
    ? node.extra.places.map((name: Json) => (typeof name === "string" ? renamed(name, migration.inputs) : name))
    : undefined;
  const native = { ...(typeof node.extra?.native === "object" ? node.extra.native : {}), version: migration.version };
  return { ...node, type, values, inputs, outputs, extra: { ...node.extra, ...(places && { places }), native } };
}
