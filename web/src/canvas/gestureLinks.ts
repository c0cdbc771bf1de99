import { promoteInput, promoteOutput } from "../document/operations/ports";
import { along, type Way } from "../document/operations/bends";
import { INPUTS, type Command, type Link, type LinkId } from "../document/types";
import type { Branch } from "./bends";
import type { Point } from "./camera";
import { apply, fittingPort, freshIds, isBorder, linkCommands, partners, slotOf, verdict } from "./edit";
import type { Gesture, GestureContext } from "./gesture";
import { hit, linksAt, nodeAt, portPoint, widgetPort, type PortRef } from "./hit";
import { LINK_FADED } from "./linkTable";
import type { Wire } from "./overlay";
import { DIMMED } from "./scene";
import type { Stage } from "./stage";
import { say } from "./text";

const SNAP = 20;

/** Marks every port that fits and dims all others, until the function it gives is called. */
export function markPartners(stage: Stage, from: PortRef): () => void {
  const fitting = new Map<string, Set<string>>();
  for (const port of partners(stage.scene, from)) {
    let ports = fitting.get(port.node);
    if (ports === undefined) fitting.set(port.node, (ports = new Set()));
    ports.add(`${port.side}${port.index}`);
  }
  const { scene, mounts } = stage;
  for (const id of scene.ids) scene.mark(id, DIMMED, !fitting.has(id) && id !== from.node);
  const mark = (id: string, element: HTMLElement): void => {
    element.dataset["fits"] = fitting.has(id) || id === from.node ? "yes" : "no";
    for (const port of element.querySelectorAll<HTMLElement>("[data-port]")) {
      const name = port.dataset["port"] ?? "";
      port.dataset["fits"] = fitting.get(id)?.has(name) === true || (id === from.node && name === `${from.side}${from.index}`) ? "yes" : "no";
    }
  };
  for (const [id, element] of mounts.all()) mark(id, element);
  mounts.onMount = mark;
  stage.linking = true;
  stage.redraw();
  return () => {
    for (const id of scene.ids) scene.mark(id, DIMMED, false);
    mounts.onMount = undefined;
    for (const [, element] of mounts.all()) {
      delete element.dataset["fits"];
      for (const port of element.querySelectorAll<HTMLElement>("[data-port]")) delete port.dataset["fits"];
    }
    stage.linking = false;
    stage.redraw();
  };
}

/** Lets links step back that are in hand, until the function it gives is called: they are seen where they are led. */
function lift(stage: Stage, off: readonly Link[]): () => void {
  const { links } = stage.scene;
  const mark = (ids: readonly LinkId[], on: boolean): void => {
    for (const id of ids) {
      const i = links.index.get(id);
      if (i !== undefined) links.flags[i] = on ? (links.flags[i] ?? 0) | LINK_FADED : (links.flags[i] ?? 0) & ~LINK_FADED;
    }
  };
  const lifted = off.map((link) => link.id).filter((id) => ((links.flags[links.index.get(id) ?? -1] ?? LINK_FADED) & LINK_FADED) === 0);
  if (off.length > 0) stage.hoverLinks([]);
  mark(lifted, true);
  return () => mark(lifted, false);
}

/** The points of a link, from one of its ends. */
const pointsFrom = (end: PortRef, link: Link | undefined): readonly Point[] => (end.side === "output" ? (link?.bends ?? []) : (link?.bends?.toReversed() ?? []));

/** A wire end in hand: which fixed ports it belongs to, and which links are taken off if it goes elsewhere. */
interface Held {
  readonly ports: readonly PortRef[];
  readonly off: readonly Link[];
}

function held(stage: Stage, port: PortRef, several: boolean): Held {
  const links = linksAt(stage.scene, port);
  if (port.side === "input" && links[0] !== undefined) {
    return { ports: [{ node: links[0].from, side: "output", index: links[0].output }], off: [links[0]] };
  }
  if (several && links.length > 0) {
    return { ports: links.map((link) => ({ node: link.to, side: "input", index: link.input })), off: links };
  }
  return { ports: [port], off: [] };
}

/**
 * Drags a wire from a port, or from a place on a link of it. From a linked input it takes that link along; with Shift all
 * links of an output.
 */
export function dragLink({ stage, actions }: GestureContext, port: PortRef, several: boolean, branch?: Branch): Gesture {
  const { scene, overlay } = stage;
  const { ports, off } = held(stage, port, several);
  const way = branch?.way;
  const first = ports[0] ?? port;
  const lower = lift(stage, off);
  const unmark = markPartners(stage, first);
  const wires: Wire[] = ports.map((one, place) => ({
    fixed: branch?.at ?? portPoint(scene, one) ?? { x: 0, y: 0 }, via: pointsFrom(one, off[place]), type: slotOf(scene, one)?.type ?? "*", forward: one.side === "output",
  }));
  const start = branch?.at ?? portPoint(scene, port);
  let target: PortRef | undefined;

  const find = (at: Point, finger: boolean): { port: PortRef | undefined; refusal?: string } => {
    const under = hit(scene, at.x, at.y, Math.max(stage.camera.zoom, 0.3), finger);
    if (under.kind === "port") {
      const answer = verdict(scene, first, under.port);
      if (answer.ok) return { port: under.port };
      const same = under.port.node === port.node && under.port.index === port.index && under.port.side === port.side;
      return same ? { port: undefined } : { port: undefined, refusal: answer.reason };
    }
    const i = nodeAt(scene, at.x, at.y, SNAP);
    const id = scene.ids[i];
    if (id === undefined || id === first.node || isBorder(id)) return { port: undefined };
    // Let go on a widget that takes it, it is that one which is meant.
    const widget = first.side === "output" ? widgetPort(scene, i, at.y) : undefined;
    if (widget !== undefined && verdict(scene, first, widget).ok) return { port: widget };
    const body = fittingPort(scene, first, id);
    if (body !== undefined) return { port: body };
    const wrong = scene.records[i]?.[first.side === "output" ? "inputs" : "outputs"][0];
    const why = wrong === undefined ? undefined : verdict(scene, first, { node: id, side: first.side === "output" ? "input" : "output", index: 0 });
    return { port: undefined, ...(why !== undefined && !why.ok ? { refusal: why.reason } : {}) };
  };
  const finish = (): void => {
    overlay.clear();
    lower();
    unmark();
  };
  return {
    edges: true,
    move(at, event) {
      const finger = event.pointerType === "touch";
      const found = find(at, finger);
      target = found.port;
      const snap = target === undefined ? undefined : portPoint(scene, target);
      const swap = event.shiftKey && target !== undefined ? swapOf(stage, port, off, target) : undefined;
      const refusal = found.refusal ?? swap?.refusal;
      const back = swap && refusal === undefined ? [wireBack(stage, swap.link, port)] : [];
      overlay.state = { wires: [...wires, ...back], free: at, finger, ...(snap && { snap }), ...(refusal !== undefined && { refusal }) };
      stage.redraw();
    },
    end(at, event, moved) {
      const refusal = overlay.state.refusal;
      finish();
      if (!moved || (start !== undefined && Math.hypot(at.x - start.x, at.y - start.y) < 8)) return;
      const swap = event.shiftKey && target !== undefined ? swapOf(stage, port, off, target) : undefined;
      if (target !== undefined && swap !== undefined) return exchange(stage, port, off[0]!, target, swap);
      if (target !== undefined) return drop(stage, ports, off, target, way);
      const border = scene.ids[nodeAt(scene, at.x, at.y)];
      if (border !== undefined && isBorder(border)) return newPort(stage, first, border === INPUTS, way);
      if (refusal !== undefined) return stage.ui.announce(refusal);
      const empty = hit(scene, at.x, at.y, stage.camera.zoom).kind;
      if (empty !== "empty" && empty !== "groupTitle" && empty !== "link") return;
      // A link pulled off an input and let go over nothing is a link taken away.
      if (off.length > 0) return unlink(stage, off.map((link) => link.id));
      actions.onOpenSearch(at, { x: event.clientX, y: event.clientY }, { port: first, slot: slotOf(scene, first), way, menu: event.shiftKey });
    },
    cancel: finish,
  };
}

/** Links the held wires to a port, taking off what they were on: one step of the history. */
function drop(stage: Stage, ports: readonly PortRef[], off: readonly Link[], target: PortRef, way: Way | undefined): void {
  const { document, graphId: graph, scene } = stage;
  const back = off.find((link) => (target.side === "input" ? link.to : link.from) === target.node && (target.side === "input" ? link.input : link.output) === target.index);
  if (back !== undefined) return;
  const label = off.length > 0 ? say("canvas.relink", "Move link") : say("canvas.link", "Link");
  document.begin(label);
  if (off.length > 0) document.apply({ do: "removeLinks", graph, ids: off.map((link) => link.id) }, label);
  for (const [place, port] of ports.entries()) {
    if (verdict(scene, port, target).ok) apply(document, linkCommands(scene, port, target), label, way ?? wayOf(off[place], target));
  }
  document.commit();
  stage.ui.announce(describeLink(stage, ports[0] ?? target, target));
}

/** The link of an input that would change places with the one pulled off `port`, and why it cannot where it does not fit there. */
function swapOf(stage: Stage, port: PortRef, off: readonly Link[], target: PortRef): { readonly link: Link; readonly refusal?: string } | undefined {
  const [link] = target.side === "input" ? linksAt(stage.scene, target) : [];
  if (port.side !== "input" || off.length !== 1 || link === undefined || link.id === off[0]?.id) return undefined;
  const answer = verdict(stage.scene, { node: link.from, side: "output", index: link.output }, port);
  return answer.ok ? { link } : { link, refusal: say("canvas.noSwap", "No swap: {reason}", { reason: answer.reason }) };
}

function wireBack(stage: Stage, link: Link, port: PortRef): Wire {
  const source: PortRef = { node: link.from, side: "output", index: link.output };
  const to = portPoint(stage.scene, port);
  return { fixed: portPoint(stage.scene, source) ?? { x: 0, y: 0 }, via: pointsFrom(source, link), type: link.type, forward: true, ...(to && { to }) };
}

/** Two links change places: what was pulled off `port` goes to `target`, and what fed that to `port`. */
function exchange(stage: Stage, port: PortRef, pulled: Link, target: PortRef, { link, refusal }: NonNullable<ReturnType<typeof swapOf>>): void {
  if (refusal !== undefined) return stage.ui.announce(refusal);
  const { document, graphId: graph } = stage;
  const ids = freshIds(document.graph(graph).links, 2);
  const to = ({ extra: _extra, ...old }: Link, end: PortRef, place: number): Link => ({ ...old, id: ids[place]!, to: end.node, input: end.index });
  const commands: readonly Command[] = [
    { do: "removeLinks", graph, ids: [pulled.id, link.id] },
    { do: "addLinks", graph, links: [to(pulled, target, 0), to(link, port, 1)] },
  ];
  apply(document, commands, say("canvas.swap", "Swap links"));
  stage.ui.announce(say("canvas.swapped", "The links have changed places"));
}

/** A link that is moved keeps its points; the name of a portal belongs to its output. */
function wayOf(link: Link | undefined, target: PortRef): Way | undefined {
  if (link === undefined) return undefined;
  return { ...(link.bends && { bends: link.bends }), ...(link.portal !== undefined && target.side === "input" && { portal: link.portal }) };
}

/** A wire let go on a border of a subgraph makes a port of it there, and in every instance. */
function newPort(stage: Stage, port: PortRef, entering: boolean, way: Way | undefined): void {
  const { document, graphId, scene } = stage;
  const slot = slotOf(scene, port);
  if (slot === undefined || isBorder(port.node) || (port.side === "input") !== entering) return;
  const spec = port.index < 0 ? scene.layouts[scene.index.get(port.node) ?? -1]?.loose[-1 - port.index]?.spec : undefined;
  const { command } = entering
    ? promoteInput(document.workflow, graphId, port.node, slot.name, spec)
    : promoteOutput(document.workflow, graphId, port.node, port.index);
  document.apply(along(command, way), say("canvas.link", "Link"));
}

/** Links two ports as one step; used by the keyboard too. */
export function connect(stage: Stage, a: PortRef, b: PortRef, way?: Way): void {
  apply(stage.document, linkCommands(stage.scene, a, b), say("canvas.link", "Link"), way);
  stage.ui.announce(describeLink(stage, a, b));
}

function describeLink(stage: Stage, a: PortRef, b: PortRef): string {
  const [from, to] = a.side === "output" ? [a, b] : [b, a];
  const title = (port: PortRef): string => stage.scene.titles[stage.scene.index.get(port.node) ?? -1] ?? "";
  return say("canvas.linked", "Linked {from} to {to}", { from: title(from), to: `${title(to)} ${slotOf(stage.scene, to)?.name ?? ""}` });
}

export function unlink(stage: Stage, ids: readonly LinkId[]): void {
  if (ids.length === 0) return;
  stage.document.apply({ do: "removeLinks", graph: stage.graphId, ids }, say("canvas.unlink", "Remove link"));
  stage.ui.announce(say("canvas.unlinked", "Link removed"));
}
