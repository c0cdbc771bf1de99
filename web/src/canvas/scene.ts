import {
  INPUTS, OUTPUTS, ROOT, type Borders, type Change, type Document, type Graph, type GraphId, type GraphNode, type Group, type Link, type NodeId, type Slot,
} from "../document/types";
import { borderNode, BORDER_WIDTH } from "./borderNode";
import type { Box } from "./camera";
import { layoutNode, TALLEST, valuesShape, type NodeLayout } from "./layout";
import { LINK_SELECTED, LinkTable } from "./linkTable";
import type { NodeRun, NodeStatus } from "./runView";
import type { Selected } from "./selection";
import { rightToLeft, shownTitle } from "./text";
import type { SpecSource } from "./specs";

export const SELECTED = 1;
export const MUTED = 2;
export const BYPASSED = 4;
export const PINNED = 8;
export const COLLAPSED = 16;
export const UNKNOWN = 32;
export const MOUNTED = 64;
export const DIMMED = 128;
export const BORDER = 256;
export const SUBGRAPH = 512;
export const RERUN = 1024;
/** Not on the way of the signal that is traced. */
export const FADED = 2048;
/** The title runs from right to left. */
export const LEFTWARDS = 4096;
/** Flags of nodes that what lies under them is seen through. */
export const TRANSLUCENT = MUTED | BYPASSED | DIMMED | FADED;
const KEPT = SELECTED | MOUNTED | DIMMED | RERUN | FADED;

/** How strongly a node is drawn by its flags. */
export function alphaOf(flags: number): number {
  if (flags & (DIMMED | FADED)) return 0.3;
  return flags & (MUTED | BYPASSED) ? 0.45 : 1;
}

/** Numbers of run states in the typed array; 0 is none. */
export const STATUS: Readonly<Record<NodeStatus, number>> = { queued: 1, running: 2, done: 3, cached: 4, failed: 5, blocked: 6 };
const PICTURE_MIN = 160;
const MOST_SHARED = 2000;
/** A graph of more nodes than this is read in portions, a few of them before the first picture. */
const AT_ONCE = 8000;
const PORTION = 100;
const FIRST = 20;
/** Further out than this nothing is drawn: 32-bit numbers of the canvas get coarse there. */
const EDGE = 4_000_000;

/** Where a node is drawn: files may name any number, or what was none to begin with. */
function placed(value: number): number {
  return Number.isNaN(value) ? 0 : Math.max(-EDGE, Math.min(EDGE, value));
}

/** Geometry of one graph in typed arrays: what drawing, culling and hit testing read every frame. */
export class Scene {
  count = 0;
  readonly ids: NodeId[] = [];
  readonly records: GraphNode[] = [];
  readonly layouts: NodeLayout[] = [];
  readonly titles: string[] = [];
  readonly index = new Map<NodeId, number>();
  readonly links = new LinkTable();
  x = new Float32Array(0);
  y = new Float32Array(0);
  w = new Float32Array(0);
  h = new Float32Array(0);
  progress = new Float32Array(0);
  flags = new Uint16Array(0);
  status = new Uint8Array(0);
  groups: readonly Group[] = [];
  selectedGroups: ReadonlySet<string> = new Set();
  selectedLinks: ReadonlySet<string> = new Set();
  selectedNodes: ReadonlySet<NodeId> = new Set();
  hoveredLinks: readonly string[] = [];
  /** Grows when everything was read anew: what depends on definitions is drawn again. */
  generation = 0;
  private face: readonly (readonly Slot[])[] = [];
  private borders: Borders | undefined;
  /** Layouts are never changed, so nodes that look alike have one between them. */
  private readonly shared = new Map<string, NodeLayout>();
  private readonly pictures = new Map<NodeId, number>();
  private selected: Selected | undefined;
  private growth: Generator<void> | undefined;

  constructor(
    readonly document: Document,
    readonly graphId: GraphId,
    readonly specs: SpecSource,
  ) {
    this.rebuild();
  }

  get graph(): Graph {
    return this.document.graph(this.graphId);
  }

  rebuild(): void {
    this.count = 0;
    this.index.clear();
    this.ids.length = this.records.length = this.layouts.length = this.titles.length = 0;
    this.links.clear();
    this.generation += 1;
    const graph = this.graph;
    this.face = [graph.inputs, graph.outputs];
    this.groups = [...graph.groups.values()];
    const growth = this.growing();
    this.growth = growth;
    this.grow(Infinity, graph.nodes.size > AT_ONCE ? FIRST : Infinity);
  }

  /** Reads more of a large graph for some milliseconds; says whether there is still more. */
  grow(milliseconds: number, most = Infinity): boolean {
    const end = performance.now() + milliseconds;
    for (let steps = 0; this.growth !== undefined && steps < most; steps++) {
      if (this.growth.next().done === true) this.growth = undefined;
      if (performance.now() > end) break;
    }
    return this.growth !== undefined;
  }

  get whole(): boolean {
    return this.growth === undefined;
  }

  /** Nodes and links in portions; what changes meanwhile is taken over by `update` and found here already. */
  private *growing(): Generator<void> {
    const begun = this.graph;
    let count = 0;
    for (const id of begun.nodes.keys()) {
      const node = this.index.has(id) ? undefined : this.graph.nodes.get(id);
      if (node !== undefined) this.putNode(node);
      if (++count % PORTION === 0) yield;
    }
    this.putBorders(this.graph);
    for (const id of this.graph.links.keys()) {
      const link = this.links.index.has(id) ? undefined : this.graph.links.get(id);
      if (link !== undefined) this.putLink(link);
      if (++count % PORTION === 0) yield;
    }
  }

  /**
   * Takes over what a command changed; costs as much as the change, not as the graph.
   * Says whether anything looks different on the canvas: the value of a widget does not.
   */
  update(change: Change): boolean {
    const graph = this.document.workflow.graphs.get(this.graphId);
    // The graph on screen may have been taken away, by an undo too: whoever shows it will go elsewhere.
    if (change.graph !== this.graphId || graph === undefined) return false;
    if (this.face[0] !== graph.inputs || this.face[1] !== graph.outputs) {
      this.rebuild();
      return true;
    }
    const moved = this.borders === graph.borders || !this.whole ? [] : this.moveBorders(graph);
    if (moved === undefined) {
      this.rebuild();
      return true;
    }
    for (const id of change.links) if (!graph.links.has(id)) this.links.remove(id);
    for (const id of change.nodes) {
      const node = graph.nodes.get(id);
      if (node === undefined) {
        if (id !== INPUTS && id !== OUTPUTS) this.removeNode(id);
      }
      else if (this.putNode(node)) moved.push(id);
    }
    for (const id of moved) this.followLinks(id);
    for (const id of change.links) {
      const link = graph.links.get(id);
      if (link !== undefined) this.putLink(link);
    }
    if (change.groups.size > 0 || this.groups.length !== graph.groups.size) this.groups = [...graph.groups.values()];
    return change.structure || moved.length + change.links.size + change.groups.size > 0;
  }

  private reserve(size: number): void {
    if (size <= this.x.length) return;
    const room = Math.max(64, size + (size >> 1));
    const more = (old: Float32Array): Float32Array<ArrayBuffer> => {
      const next = new Float32Array(room);
      next.set(old);
      return next;
    };
    this.x = more(this.x);
    this.y = more(this.y);
    this.w = more(this.w);
    this.h = more(this.h);
    this.progress = more(this.progress);
    const flags = new Uint16Array(room);
    flags.set(this.flags);
    this.flags = flags;
    const status = new Uint8Array(room);
    status.set(this.status);
    this.status = status;
  }

  private putBorders(graph: Graph): void {
    if (this.graphId === ROOT) return;
    const box = this.bounds() ?? { x: 0, y: 0, width: 400, height: 200 };
    const beside = { inputs: { x: box.x - BORDER_WIDTH - 120, y: box.y }, outputs: { x: box.x + box.width + 120, y: box.y } };
    this.borders = graph.borders;
    this.putNode(borderNode(graph, "inputs", graph.borders?.inputs ?? beside.inputs));
    this.putNode(borderNode(graph, "outputs", graph.borders?.outputs ?? beside.outputs));
  }

  /** Takes over where borders stand now; says which moved, or nothing when one goes back beside the nodes. */
  private moveBorders(graph: Graph): NodeId[] | undefined {
    const before = this.borders;
    this.borders = graph.borders;
    const moved: NodeId[] = [];
    for (const side of ["inputs", "outputs"] as const) {
      const at = graph.borders?.[side];
      if (at === before?.[side]) continue;
      if (at === undefined) return undefined;
      this.putNode(borderNode(graph, side, at));
      moved.push(side === "inputs" ? INPUTS : OUTPUTS);
    }
    return moved;
  }

  /** Takes over one node; says whether its links have to follow. */
  private putNode(node: GraphNode): boolean {
    let i = this.index.get(node.id);
    const isNew = i === undefined;
    if (i === undefined) {
      i = this.count++;
      this.reserve(this.count);
      this.index.set(node.id, i);
      this.ids[i] = node.id;
      this.flags[i] = 0;
      this.status[i] = 0;
      this.progress[i] = 0;
    }
    const old = isNew ? undefined : this.records[i];
    this.records[i] = node;
    this.x[i] = placed(node.x);
    this.y[i] = placed(node.y);
    if (old !== undefined && sameShape(old, node) && (old.values === node.values || !valuesShape(this.specs.of(node)))) return old.x !== node.x || old.y !== node.y;
    this.shape(i, node);
    return true;
  }

  private shape(i: number, node: GraphNode): void {
    const border = node.id === INPUTS || node.id === OUTPUTS;
    const known = border || this.specs.knows(node);
    const picture = this.pictures.get(node.id);
    let layout = this.layoutOf(picture === undefined ? node : { ...node, height: null }, border, known);
    let height = layout.height;
    if (picture !== undefined && node.collapsed !== true) {
      const wanted = node.height === null ? (layout.width - 16) * picture : node.height - layout.contentHeight;
      height = layout.contentHeight + Math.max(PICTURE_MIN, Math.min(wanted, node.height === null ? 480 : TALLEST));
      layout = { ...layout, height: layout.contentHeight };
    }
    this.layouts[i] = layout;
    this.w[i] = layout.width;
    this.h[i] = height;
    this.titles[i] = shownTitle(this.specs.title(node));
    let flags = (this.flags[i] ?? 0) & KEPT;
    if (rightToLeft(this.titles[i] ?? "")) flags |= LEFTWARDS;
    if (node.mode === "mute") flags |= MUTED;
    if (node.mode === "bypass") flags |= BYPASSED;
    if (node.pinned === true) flags |= PINNED;
    if (node.collapsed === true) flags |= COLLAPSED;
    if (border) flags |= BORDER;
    else if (!known) flags |= UNKNOWN;
    else if (this.specs.isSubgraph(node)) flags |= SUBGRAPH;
    this.flags[i] = flags;
  }

  private layoutOf(node: GraphNode, border: boolean, known: boolean): NodeLayout {
    const signature = border ? undefined : this.specs.signature(node);
    const key = signature === undefined ? "" : `${signature}\n${node.width} ${node.height} ${node.collapsed}`;
    let layout = key === "" ? undefined : this.shared.get(key);
    if (layout === undefined) {
      layout = layoutNode(node, border ? [] : this.specs.shown(node, this.graphId), known);
      if (this.shared.size > MOST_SHARED) this.shared.clear();
      if (key !== "") this.shared.set(key, layout);
    }
    return layout;
  }

  private removeNode(id: NodeId): void {
    const i = this.index.get(id);
    if (i === undefined) return;
    const last = --this.count;
    this.index.delete(id);
    if (i !== last) {
      const moved = this.ids[last] as NodeId;
      this.index.set(moved, i);
      this.ids[i] = moved;
      this.records[i] = this.records[last] as GraphNode;
      this.layouts[i] = this.layouts[last] as NodeLayout;
      this.titles[i] = this.titles[last] as string;
      for (const array of [this.x, this.y, this.w, this.h, this.progress, this.flags, this.status]) array[i] = array[last] ?? 0;
    }
    this.ids.length = this.records.length = this.layouts.length = this.titles.length = last;
  }

  private putLink(link: Link): void {
    const from = this.index.get(link.from);
    const to = this.index.get(link.to);
    if (from === undefined || to === undefined) return this.links.remove(link.id);
    this.links.put(link, this.outX(from), this.outY(from, link.output), this.inX(to), this.inY(to, link.input));
  }

  private followLinks(id: NodeId): void {
    const { in: into, out } = this.document.linksOf(this.graphId, id);
    for (const link of into) this.follow(link);
    for (const link of out) this.follow(link);
  }

  private follow(link: Link): void {
    const i = this.links.index.get(link.id);
    if (i === undefined) return this.putLink(link);
    const from = this.index.get(link.from);
    const to = this.index.get(link.to);
    if (from === undefined || to === undefined) return;
    this.links.place(i, this.outX(from), this.outY(from, link.output), this.inX(to), this.inY(to, link.input));
  }

  outX(i: number): number {
    return (this.x[i] ?? 0) + (this.w[i] ?? 0);
  }
  outY(i: number, output: number): number {
    return (this.y[i] ?? 0) + (this.layouts[i]?.outputY[output] ?? 16);
  }
  inX(i: number): number {
    return this.x[i] ?? 0;
  }
  inY(i: number, input: number): number {
    return (this.y[i] ?? 0) + (this.layouts[i]?.inputY[input] ?? 16);
  }

  box(id: NodeId): Box | undefined {
    const i = this.index.get(id);
    if (i === undefined) return undefined;
    return { x: this.x[i] ?? 0, y: this.y[i] ?? 0, width: this.w[i] ?? 0, height: this.h[i] ?? 0 };
  }

  /** Box around some nodes, or around everything; undefined when there is nothing. */
  bounds(ids?: Iterable<NodeId>): Box | undefined {
    let left = Infinity;
    let top = Infinity;
    let right = -Infinity;
    let bottom = -Infinity;
    const add = (i: number): void => {
      left = Math.min(left, this.x[i] ?? left);
      top = Math.min(top, this.y[i] ?? top);
      right = Math.max(right, (this.x[i] ?? 0) + (this.w[i] ?? 0));
      bottom = Math.max(bottom, (this.y[i] ?? 0) + (this.h[i] ?? 0));
    };
    if (ids === undefined) {
      for (let i = 0; i < this.count; i++) add(i);
    } else {
      for (const id of ids) {
        const i = this.index.get(id);
        if (i !== undefined) add(i);
      }
    }
    return left === Infinity ? undefined : { x: left, y: top, width: right - left, height: bottom - top };
  }

  /** Marks what is selected, touching only what differs from before. */
  select(selected: Selected): void {
    const flip = (set: Selected, on: boolean): void => {
      for (const id of set.nodes) this.mark(id, SELECTED, on);
      for (const id of set.links) {
        const i = this.links.index.get(id);
        if (i !== undefined) this.links.flags[i] = on ? (this.links.flags[i] ?? 0) | LINK_SELECTED : (this.links.flags[i] ?? 0) & ~LINK_SELECTED;
      }
    };
    if (this.selected !== undefined) flip(this.selected, false);
    flip(selected, true);
    this.selected = selected;
    this.selectedGroups = selected.groups;
    this.selectedLinks = selected.links;
    this.selectedNodes = selected.nodes;
  }

  mark(id: NodeId, flag: number, on: boolean): void {
    const i = this.index.get(id);
    if (i !== undefined) this.flags[i] = on ? (this.flags[i] ?? 0) | flag : (this.flags[i] ?? 0) & ~flag;
  }

  /** Takes over the run state of one node; room for its pictures is part of its geometry. Says whether that or a mark changed. */
  setRun(id: NodeId, run: NodeRun | undefined): boolean {
    const i = this.index.get(id);
    if (i === undefined) return false;
    const marked = ((this.flags[i] ?? 0) & RERUN) !== 0;
    this.status[i] = run?.status === undefined ? 0 : STATUS[run.status];
    this.progress[i] = run?.progress ?? 0;
    this.mark(id, RERUN, run?.willRerun === true);
    const first = run?.images?.[0];
    const wants = run?.preview !== undefined || first !== undefined;
    const shape = !wants ? undefined : first?.width && first.height ? first.height / first.width : 1;
    if (shape === this.pictures.get(id) || (shape === 1 && this.pictures.has(id) && first === undefined)) return marked !== (run?.willRerun === true);
    if (shape === undefined) this.pictures.delete(id);
    else this.pictures.set(id, shape);
    this.shape(i, this.records[i] as GraphNode);
    this.followLinks(id);
    return true;
  }
}

/** True when two records of a node differ in place or values only. */
function sameShape(a: GraphNode, b: GraphNode): boolean {
  return (
    a.type === b.type && a.mode === b.mode && a.inputs === b.inputs && a.outputs === b.outputs && a.width === b.width &&
    a.height === b.height && a.title === b.title && a.collapsed === b.collapsed && a.pinned === b.pinned && a.color === b.color
  );
}
