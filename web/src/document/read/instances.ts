/** Instances of subgraphs: what their saved values are values of. */
import { fileOf } from "../fileRecords";
import { isObject, listOf, objectOf, withEntry } from "../json";
import { INPUTS, type Graph, type GraphNode, type Json, type NodeId } from "../types";
import { valuesAt } from "./nodes";

/** Names that the ecosystem's previews have; they hold no value. */
const PREVIEW = "$$";

/** The (inner node, widget) pairs that an instance shows besides its inputs. */
export function proxiesOf(node: GraphNode): readonly (readonly [NodeId, string])[] {
  let saved: unknown = node.extra?.proxies ?? objectOf(fileOf(node)?.properties).proxyWidgets;
  if (typeof saved === "string") {
    // Files of one editor version hold the list as text.
    try {
      saved = JSON.parse(saved);
    } catch {
      return [];
    }
  }
  return listOf(saved).flatMap((one): (readonly [string, string])[] => {
    if (!Array.isArray(one) || one.length < 2) return [];
    const pair = [String(one[0]), String(one[1])] as const;
    return pair[1].startsWith(PREVIEW) ? [] : [pair];
  });
}

/** The name under which an instance holds the value of a widget inside that is no input of the subgraph. */
export function proxyName(inner: NodeId, widget: string): string {
  return inner === "-1" ? widget : `${inner}: ${widget}`;
}

/** Names of the subgraph's inputs that feed a widget inside, in order. */
export function widgetInputs(definition: Graph): readonly string[] {
  const fed = new Set<number>();
  for (const link of definition.links.values()) {
    if (link.from === INPUTS && definition.nodes.get(link.to)?.inputs[link.input]?.widget !== undefined)
      fed.add(link.output);
  }
  return definition.inputs.flatMap((slot, place) => (fed.has(place) ? slot.name : []));
}

/**
 * Names the places of an instance's saved list. Editors have saved three forms: the widgets of `proxyWidgets` alone,
 * after the subgraph inputs that feed widgets, or only those inputs. The number of values tells them apart.
 */
export function instancePlaces(node: GraphNode, definition: Graph, count: number): readonly string[] {
  const shown = proxiesOf(node).map(([inner, widget]) => proxyName(inner, widget));
  const inputs = widgetInputs(definition);
  const others = inputs.filter((name) => !shown.includes(name));
  if (shown.length === 0 || (count === inputs.length && count !== shown.length)) return inputs;
  return others.length > 0 && count === others.length + shown.length ? [...others, ...shown] : shown;
}

export function readInstanceValues(node: GraphNode, definition: Graph): GraphNode {
  const saved = fileOf(node)?.widgets_values;
  if (Array.isArray(saved)) {
    const list = saved as readonly Json[];
    const names = instancePlaces(node, definition, list.length);
    const places = list.map((_, place) => names[place] ?? `#${place}`);
    return { ...node, values: valuesAt(places, list), extra: { ...node.extra, ...(places.length > 0 && { places }) } };
  }
  if (!isObject(saved)) return node;
  const values: Record<string, Json> = {};
  const shown = new Map(proxiesOf(node).map(([inner, widget]) => [widget, proxyName(inner, widget)]));
  for (const [name, value] of Object.entries(saved)) withEntry(values, shown.get(name) ?? name, value);
  return { ...node, values };
}
