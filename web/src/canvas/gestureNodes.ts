import { type Group, type GroupId, type NodeId } from "../document/types";
import type { Box } from "./camera";
import { apply, cloneCommands, isBorder, moveCommands } from "./edit";
import type { Gesture, GestureContext } from "./gesture";
import { nodesIn } from "./hit";
import { GRID, MIN_WIDTH, TITLE } from "./layout";
import type { Stage } from "./stage";
import { say } from "./text";

const snapped = (value: number): number => Math.round(value / GRID) * GRID;

function movable({ stage }: GestureContext, ids: Iterable<NodeId>): { id: NodeId; x: number; y: number }[] {
  const start: { id: NodeId; x: number; y: number }[] = [];
  for (const id of ids) {
    const node = isBorder(id) ? stage.scene.box(id) : stage.document.node(stage.graphId, id);
    if (node !== undefined && !("pinned" in node && node.pinned === true)) start.push({ id, x: node.x, y: node.y });
  }
  return start;
}

/** Moves the selected nodes and groups; with Alt it moves copies of them. One drag is one step of the history. */
export function dragSelection(context: GestureContext, lead: NodeId | undefined, clone: boolean): Gesture {
  const { stage, actions, start } = context;
  const { document, graphId: graph, selection } = stage;
  let begun = false;
  let nodes: { id: NodeId; x: number; y: number }[] = [];
  let groups: Group[] = [];

  const begin = (event: PointerEvent): void => {
    begun = true;
    document.begin(clone ? say("canvas.clone", "Copy nodes") : say("canvas.move", "Move"));
    if (clone) {
      const ids = [...selection.current.nodes];
      const copies = actions.onClone?.(ids) ?? ownCopies(ids);
      selection.set({ nodes: new Set(copies) });
    }
    const chosen = selection.current;
    groups = [...chosen.groups].map((id) => document.graph(graph).groups.get(id)).filter((group) => group !== undefined);
    // With Ctrl a group leaves its nodes where they are.
    const alone = lead === undefined && (event.ctrlKey || event.metaKey);
    nodes = movable(context, new Set([...chosen.nodes, ...(alone ? [] : groups.flatMap((group) => group.members))]));
  };
  const ownCopies = (ids: readonly NodeId[]): readonly NodeId[] => {
    const copied = cloneCommands(document, graph, ids, 0, 0);
    apply(document, copied.commands, say("canvas.clone", "Copy nodes"));
    return copied.ids;
  };
  return {
    edges: true,
    move(at, event) {
      if (!begun) begin(event);
      let dx = at.x - start.x;
      let dy = at.y - start.y;
      const first = nodes.find((node) => node.id === lead) ?? nodes[0] ?? groups[0];
      if (first !== undefined && actions.snapToGrid !== event.shiftKey) {
        dx = snapped(first.x + dx) - first.x;
        dy = snapped(first.y + dy) - first.y;
      }
      const label = say("canvas.move", "Move");
      if (nodes.length > 0) {
        for (const command of moveCommands(graph, nodes.map((node) => ({ id: node.id, x: node.x + dx, y: node.y + dy })))) document.apply(command, label);
      }
      if (groups.length > 0) {
        document.apply({ do: "putGroups", graph, groups: groups.map((group) => ({ ...group, x: group.x + dx, y: group.y + dy })) }, label);
      }
    },
    end() {
      if (!begun) return;
      if (groups.length === 0) regroup(stage, nodes.flatMap((node) => (isBorder(node.id) ? [] : node.id)));
      document.commit();
    },
    cancel() {
      if (begun) document.cancel();
    },
  };
}

/** Whoever is dropped into a group belongs to it, whoever is dragged out of it no longer does. */
function regroup(stage: Stage, ids: readonly NodeId[]): void {
  const { document, graphId: graph, scene } = stage;
  const changed: Group[] = [];
  for (const group of document.graph(graph).groups.values()) {
    const members = new Set(group.members);
    for (const id of ids) {
      const box = scene.box(id);
      if (box !== undefined && holds(group, box)) members.add(id);
      else members.delete(id);
    }
    if (members.size !== group.members.length || group.members.some((id) => !members.has(id))) changed.push({ ...group, members: [...members] });
  }
  if (changed.length > 0) document.apply({ do: "putGroups", graph, groups: changed }, say("canvas.move", "Move"));
}

function holds(group: Box, box: Box): boolean {
  const x = box.x + box.width / 2;
  const y = box.y + box.height / 2;
  return x >= group.x && x <= group.x + group.width && y >= group.y && y <= group.y + group.height;
}

export function resizeNode({ stage, actions, start }: GestureContext, id: NodeId): Gesture {
  const { document, graphId: graph } = stage;
  const i = stage.scene.index.get(id) ?? 0;
  const width = stage.scene.w[i] ?? MIN_WIDTH;
  const height = stage.scene.h[i] ?? TITLE;
  let begun = false;
  return {
    move(at, event) {
      if (!begun) document.begin(say("canvas.resize", "Resize node"));
      begun = true;
      const fit = actions.snapToGrid !== event.shiftKey ? snapped : Math.round;
      const least = stage.scene.layouts[i]?.leastHeight ?? TITLE;
      document.apply({
        do: "updateNode", graph, id,
        set: { width: Math.max(MIN_WIDTH, fit(width + at.x - start.x)), height: Math.max(least, fit(height + at.y - start.y)) },
      }, say("canvas.resize", "Resize node"));
    },
    end() {
      if (begun) document.commit();
    },
    cancel() {
      if (begun) document.cancel();
    },
  };
}

export function resizeGroup({ stage, start }: GestureContext, id: GroupId): Gesture {
  const { document, graphId: graph } = stage;
  const group = document.graph(graph).groups.get(id);
  let begun = false;
  return {
    move(at) {
      if (group === undefined) return;
      if (!begun) document.begin(say("canvas.resizeGroup", "Resize group"));
      begun = true;
      const width = Math.max(120, group.width + at.x - start.x);
      const height = Math.max(80, group.height + at.y - start.y);
      document.apply({ do: "putGroups", graph, groups: [{ ...group, width, height }] }, say("canvas.resizeGroup", "Resize group"));
    },
    end() {
      if (!begun) return;
      const now = document.graph(graph).groups.get(id);
      if (now !== undefined) {
        const members = stage.scene.ids.filter((one) => holds(now, stage.scene.box(one) ?? { x: NaN, y: NaN, width: 0, height: 0 }));
        document.apply({ do: "putGroups", graph, groups: [{ ...now, members }] }, say("canvas.resizeGroup", "Resize group"));
      }
      document.commit();
    },
    cancel() {
      if (begun) document.cancel();
    },
  };
}

/** Draws a box and selects what it touches; with Shift it adds to what is selected. */
export function marquee({ stage, start }: GestureContext, add: boolean): Gesture {
  const { selection, overlay } = stage;
  const before = selection.current;
  return {
    edges: true,
    move(at) {
      overlay.state = { marquee: { from: start, to: at } };
      const touched = nodesIn(stage.scene, start.x, start.y, at.x, at.y);
      const nodes = new Set(add ? [...before.nodes, ...touched] : touched);
      if (nodes.size !== selection.current.nodes.size || touched.some((id) => !selection.current.nodes.has(id))) {
        selection.set(add ? { ...before, nodes } : { nodes });
      }
      stage.redraw();
    },
    end(_, __, moved) {
      overlay.clear();
      if (!moved && !add) selection.set({});
      else if (moved) stage.ui.announce(say("canvas.selected", "{n} nodes selected", { n: selection.current.nodes.size }));
      stage.redraw();
    },
    cancel() {
      overlay.clear();
      selection.set(before);
      stage.redraw();
    },
  };
}
