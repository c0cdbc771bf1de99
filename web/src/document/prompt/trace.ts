/** Following wires to what really feeds an input: through reroutes, bypassed nodes and the borders of subgraphs. */
import { compatible, isWildcard } from "../typeRules";
import type { GraphNode, Json, Link, Slot } from "../types";
import { comesFromOutside, exitOf, type Definitions, type Scope } from "./scopes";

export const PRIMITIVE = "PrimitiveNode";
const SETTER = "SetNode";
const GETTER = "GetNode";

/** Types that bring their first input to all of their outputs. */
export const REROUTES: ReadonlySet<string> = new Set(["Reroute", "Reroute (rgthree)", SETTER]);

/** Types that only editors know, of widely used packs too; they never run. */
export const VIRTUAL_TYPES: ReadonlySet<string> = new Set([
  ...REROUTES,
  PRIMITIVE,
  GETTER,
  "Note",
  "MarkdownNote",
  "Label (rgthree)",
  "Bookmark (rgthree)",
  "Fast Groups Muter (rgthree)",
  "Fast Groups Bypasser (rgthree)",
  "Fast Muter (rgthree)",
  "Fast Bypasser (rgthree)",
  "Fast Actions Button (rgthree)",
  "Node Collector (rgthree)",
  "Mute / Bypass Repeater (rgthree)",
  "Mute / Bypass Relay (rgthree)",
]);

/** What feeds an input. `pushed`: a primitive node writes it into the widgets it is wired to. */
export type Fed =
  | { readonly kind: "link"; readonly node: string; readonly slot: number }
  | { readonly kind: "value"; readonly value: Json; readonly pushed: boolean }
  | { readonly kind: "nothing" }
  | { readonly kind: "muted" };

const NOTHING: Fed = { kind: "nothing" };
const MUTED: Fed = { kind: "muted" };

type Step = { readonly scope: Scope; readonly link: Link; readonly bypassed: boolean } | Fed;

export class Tracer {
  private readonly named = new Map<Scope, Map<string, GraphNode>>();
  private readonly found = new Map<Link, Map<Scope, Map<string, Fed>>>();

  constructor(private readonly definitions: Definitions) {}

  /** What a wire brings to an input of type `wanted`. What was found along a way is kept, so that a graph takes linear time. */
  source(scope: Scope, link: Link, wanted: string): Fed {
    const origin = scope.graph.nodes.get(link.from);
    if (origin !== undefined && this.isPlain(origin))
      return { kind: "link", node: scope.prefix + origin.id, slot: link.output };
    const walked: { scope: Scope; link: Link; seen: Map<string, Fed> }[] = [];
    let lastBypass = -1;
    let step: Step = { scope, link, bypassed: false };
    const onWay = new Set<Map<string, Fed>>();
    while ("link" in step) {
      const seen = this.memory(step.scope, step.link);
      const known = seen.get(wanted);
      if (known !== undefined) {
        step = known;
        break;
      }
      if (onWay.has(seen)) {
        step = NOTHING; // reroutes that feed each other bring nothing
        break;
      }
      onWay.add(seen);
      walked.push({ scope: step.scope, link: step.link, seen });
      const next: Step = this.step(step.scope, step.link, wanted);
      if ("bypassed" in next && next.bypassed) lastBypass = walked.length - 1;
      step = next;
    }
    const fed: Fed = step;
    // A primitive writes into the widgets it is wired to, which a bypassed node between hides.
    const beyond = fed.kind === "value" && fed.pushed ? NOTHING : fed;
    for (const [place, { seen }] of walked.entries()) seen.set(wanted, place <= lastBypass ? beyond : fed);
    return walked[0]?.seen.get(wanted) ?? fed;
  }

  private readonly virtual = new Map<string, boolean>();

  /** Whether a node simply runs: then a link to it needs no following. */
  private isPlain(node: GraphNode): boolean {
    let virtual = this.virtual.get(node.type);
    if (virtual === undefined) {
      virtual = VIRTUAL_TYPES.has(node.type) || this.definitions(node.type) !== undefined;
      this.virtual.set(node.type, virtual);
    }
    return !virtual && node.mode === "always";
  }

  private memory(scope: Scope, link: Link): Map<string, Fed> {
    let scopes = this.found.get(link);
    if (scopes === undefined) this.found.set(link, (scopes = new Map()));
    let types = scopes.get(scope);
    if (types === undefined) scopes.set(scope, (types = new Map()));
    return types;
  }

  private step(scope: Scope, link: Link, wanted: string): Step {
    if (comesFromOutside(scope, link)) return outside(scope, link);
    let node = scope.graph.nodes.get(link.from);
    if (node === undefined) return NOTHING;
    if (node.type === PRIMITIVE) return primitive(scope, node);
    if (node.type === GETTER) {
      node = this.setters(scope).get(String(firstValue(node)));
      if (node === undefined) return NOTHING;
    }
    if (node.mode === "mute") return MUTED;
    if (REROUTES.has(node.type)) return onward(scope, node, 0, false);
    if (node.mode === "bypass") return onward(scope, node, bypassSlot(node, link.output, wanted), true);
    if (VIRTUAL_TYPES.has(node.type)) return NOTHING;
    if (this.definitions(node.type) === undefined)
      return { kind: "link", node: scope.prefix + node.id, slot: link.output };
    const child = scope.children.get(node.id);
    const exit = child && exitOf(child, link.output);
    return child && exit ? { scope: child, link: exit, bypassed: false } : NOTHING;
  }

  /** The nodes that give a wire a name in a scope, by that name. */
  private setters(scope: Scope): Map<string, GraphNode> {
    let found = this.named.get(scope);
    if (found === undefined) {
      found = new Map(
        [...scope.graph.nodes.values()]
          .filter((node) => node.type === SETTER)
          .map((node) => [String(firstValue(node)), node]),
      );
      this.named.set(scope, found);
    }
    return found;
  }
}

/** A wire that comes in from outside the subgraph, or the value that the instance holds instead. */
function outside(scope: Scope, link: Link): Step {
  const name = scope.graph.inputs[link.output]?.name;
  const { instance, parent } = scope;
  if (name === undefined || instance === undefined || parent === undefined) return NOTHING;
  const slot = instance.inputs.findIndex((one) => one.name === name);
  const outer = slot < 0 ? undefined : parent.index.into(instance.id, slot);
  if (outer !== undefined) return { scope: parent, link: outer, bypassed: false };
  const value = scope.given.get(name);
  return value === undefined ? NOTHING : { kind: "value", value, pushed: false };
}

function primitive(scope: Scope, node: GraphNode): Fed {
  const value = scope.overrides.get(node.id)?.get("value") ?? firstValue(node);
  return value === undefined || value === null ? NOTHING : { kind: "value", value, pushed: true };
}

function firstValue(node: GraphNode): Json | undefined {
  return Object.values(node.values)[0];
}

function onward(scope: Scope, node: GraphNode, slot: number | undefined, bypassed: boolean): Step {
  const link = slot === undefined ? undefined : scope.index.into(node.id, slot);
  return link === undefined ? NOTHING : { scope, link, bypassed };
}

/**
 * The input that a bypassed node passes on as an output: the same slot when its type fits, else the first of exactly
 * that type, else the first that fits. A wildcard takes the same slot, or the first.
 */
export function bypassSlot(node: GraphNode, output: number, wanted: string): number | undefined {
  // Slots that the file does not have must not change what the same file means elsewhere.
  const inputs = node.inputs.filter((slot) => slot.extra?.padded !== true);
  if (inputs.length === 0) return undefined;
  const kind = node.outputs[output]?.type ?? wanted;
  const same = inputs[output];
  if (isWildcard(wanted) || isWildcard(kind)) return same === undefined ? 0 : output;
  if (same !== undefined && connects(same, kind)) return output;
  for (const fits of [equal, connects]) {
    const slot = inputs.findIndex((one) => fits(one, kind));
    if (slot >= 0) return slot;
  }
  return undefined;
}

function equal(slot: Slot, type: string): boolean {
  return slot.type.toLowerCase() === type.toLowerCase();
}

function connects(slot: Slot, type: string): boolean {
  // In lower case, so that the rule of links that a choice takes text does not apply.
  return compatible(slot.type.toLowerCase(), type.toLowerCase());
}
