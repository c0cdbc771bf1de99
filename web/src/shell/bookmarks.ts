/** Places to come back to, by digit: Shift and the digit keeps one, the digit alone leads there. */
import { ROOT, type GraphId, type Workflow } from "../document/types";
import { t } from "../i18n";
import type { EditorCommand } from "./commands";
import { graphHandle } from "./graphHandle";
import { say } from "./toasts";
import { active, TOP, type Place, type Tab } from "./workspace";

const DIGITS = ["1", "2", "3", "4", "5", "6", "7", "8", "9"] as const;
const FRAMES = 60;

const onGraph = (): boolean => active.get()?.view.get() === "graph";

/** Keeps where the view is, or the node that alone is selected; the same place again forgets it. */
function setBookmark(tab: Tab, digit: string): void {
  const where = graphHandle.get()?.where();
  if (where === undefined) return;
  const { graph } = tab.place.get();
  const { nodes } = tab.selection.current;
  const [node] = nodes.size === 1 ? nodes : [];
  const before = tab.document.workflow.bookmarks?.[digit];
  const to = { graph, ...where, ...(node !== undefined && tab.document.node(graph, node) !== undefined && { node }) };
  if (before !== undefined && before.graph === to.graph && before.node === to.node && before.x === to.x && before.y === to.y) {
    tab.document.apply({ do: "setBookmark", digit, to: null }, t("step.bookmark", "Set a bookmark"));
    return say(t("bookmark.gone", "Bookmark {n} is gone", { n: digit }));
  }
  tab.document.apply({ do: "setBookmark", digit, to }, t("step.bookmark", "Set a bookmark"));
  say(to.node === undefined ? t("bookmark.place", "Bookmark {n}: this place. {n} leads back.", { n: digit }) : t("bookmark.node", "Bookmark {n}: this node. {n} leads back.", { n: digit }));
}

async function goToBookmark(tab: Tab, digit: string): Promise<void> {
  const bookmark = tab.document.workflow.bookmarks?.[digit];
  const place = bookmark && (tab.place.get().graph === bookmark.graph ? tab.place.get() : placeOf(tab.document.workflow, bookmark.graph));
  if (bookmark === undefined || place === undefined) return;
  tab.view.set("graph");
  if (place !== tab.place.get()) {
    const before = graphHandle.get();
    tab.selection.set({});
    tab.place.set(place);
    for (let frame = 0; frame < FRAMES && (graphHandle.get() === before || graphHandle.get() === undefined); frame++) await nextFrame();
    // The graph that was opened shows its own last view first.
    await nextFrame();
  }
  const handle = graphHandle.get();
  if (bookmark.node !== undefined && tab.document.node(bookmark.graph, bookmark.node) !== undefined) handle?.centreOn(bookmark.node);
  else handle?.goTo(bookmark, bookmark.zoom);
  handle?.focus();
}

const nextFrame = (): Promise<void> => new Promise((done) => requestAnimationFrame(() => done()));

/** The way into a subgraph: through the first instances that lead there. */
function placeOf(workflow: Workflow, graph: GraphId): Place | undefined {
  if (graph === ROOT) return TOP;
  const seen = new Set<GraphId>([ROOT]);
  const open: Place[] = [TOP];
  for (let place = open.shift(); place !== undefined; place = open.shift()) {
    for (const node of workflow.graphs.get(place.graph)?.nodes.values() ?? []) {
      const definition = node.type === ROOT || seen.has(node.type) ? undefined : workflow.graphs.get(node.type);
      if (definition === undefined) continue;
      const inside = { graph: definition.id, nodes: [...place.nodes, { id: node.id, graph: definition.id, name: definition.name }] };
      if (definition.id === graph) return inside;
      seen.add(definition.id);
      open.push(inside);
    }
  }
  return undefined;
}

export function bookmarkCommands(): readonly EditorCommand[] {
  const tab = (): Tab => active.get()!;
  return DIGITS.flatMap((digit): EditorCommand[] => [
    { id: `bookmark.set${digit}`, title: t("bookmark.set", "Set bookmark {n} here", { n: digit }), keys: [`Shift+${digit}`], enabled: onGraph, run: () => setBookmark(tab(), digit) },
    {
      id: `bookmark.go${digit}`, title: t("bookmark.go", "Go to bookmark {n}", { n: digit }), keys: [digit],
      enabled: () => active.get()?.document.workflow.bookmarks?.[digit] !== undefined, run: () => goToBookmark(tab(), digit),
    },
  ]);
}
