/** Places to come back to, by digit: Shift and the digit keeps one, the digit alone leads there. */
import { specOf } from "../document/shown";
import { ROOT, type Bookmark, type GraphId, type Workflow } from "../document/types";
import { t } from "../i18n";
import type { EditorCommand } from "./commands";
import { graphHandle } from "./graphHandle";
import { say } from "./toasts";
import { outlineShows, panel } from "./Rail";
import { active, specs, TOP, type Place, type Tab } from "./workspace";

export const DIGITS = ["1", "2", "3", "4", "5", "6", "7", "8", "9"] as const;
const FRAMES = 60;

const onGraph = (): boolean => active.get()?.view.get() === "graph";

/** What a bookmark is called: by the user, else as its node, else as the graph it lies in. */
export function bookmarkTitle(tab: Tab, { name, graph, node }: Bookmark): string {
  const { graphs } = tab.document.workflow;
  const there = node === undefined ? undefined : graphs.get(graph)?.nodes.get(node);
  if (name !== undefined) return name;
  if (there !== undefined) return there.title ?? specOf(tab.document.workflow, there, specs.get() ?? new Map())?.title ?? there.type;
  return graph === ROOT ? t("bookmark.untitled", "A place in the workflow") : (graphs.get(graph)?.name ?? graph);
}

export function forgetBookmark(tab: Tab, digit: string): void {
  tab.document.apply({ do: "setBookmark", digit, to: null }, t("step.bookmarkGone", "Remove a bookmark"));
  say(t("bookmark.gone", "Bookmark {n} is gone", { n: digit }));
}

/** Gives a bookmark a name; an empty one, or the title that it has of itself, takes the name away. */
export function nameBookmark(tab: Tab, digit: string, { name, ...bookmark }: Bookmark, wanted: string): void {
  const text = wanted.trim();
  const to: Bookmark = text === "" || text === bookmarkTitle(tab, bookmark) ? bookmark : { ...bookmark, name: text };
  if (to.name !== name) tab.document.apply({ do: "setBookmark", digit, to }, t("step.bookmarkName", "Rename a bookmark"));
}

/** Keeps where the view is, or the node that alone is selected; the same place again forgets it. */
export function keepBookmark(tab: Tab, digit: string): void {
  const where = graphHandle.get()?.where();
  if (where === undefined) return;
  const { graph } = tab.place.get();
  const { nodes } = tab.selection.current;
  const [node] = nodes.size === 1 ? nodes : [];
  const before = tab.document.workflow.bookmarks?.[digit];
  const to = { graph, ...where, ...(node !== undefined && tab.document.node(graph, node) !== undefined && { node }) };
  if (before !== undefined && before.graph === to.graph && before.node === to.node && before.x === to.x && before.y === to.y) return forgetBookmark(tab, digit);
  tab.document.apply({ do: "setBookmark", digit, to }, t("step.bookmark", "Set a bookmark"));
  say(to.node === undefined ? t("bookmark.place", "Bookmark {n}: this place. {n} leads back.", { n: digit }) : t("bookmark.node", "Bookmark {n}: this node. {n} leads back.", { n: digit }));
}

export async function goToBookmark(tab: Tab, digit: string): Promise<void> {
  const bookmark = tab.document.workflow.bookmarks?.[digit];
  const place = bookmark && (tab.place.get().graph === bookmark.graph ? tab.place.get() : placeOf(tab.document.workflow, bookmark.graph));
  if (bookmark === undefined || place === undefined) return;
  const before = tab.view.get() === "graph" ? graphHandle.get() : undefined;
  tab.view.set("graph");
  if (before === undefined || place !== tab.place.get()) {
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
  const list: EditorCommand = { id: "bookmark.list", title: t("bookmark.list", "List of bookmarks"), enabled: () => active.get() !== undefined, run: listBookmarks };
  const byDigit = DIGITS.flatMap((digit): EditorCommand[] => [
    { id: `bookmark.set${digit}`, title: t("bookmark.set", "Set bookmark {n} here", { n: digit }), keys: [`Shift+${digit}`], enabled: onGraph, run: () => keepBookmark(tab(), digit) },
    {
      id: `bookmark.go${digit}`, keys: [digit],
      // The palette finds it by its name.
      get title() {
        const kept = active.get()?.document.workflow.bookmarks?.[digit];
        const go = t("bookmark.go", "Go to bookmark {n}", { n: digit });
        return kept === undefined ? go : `${go}: ${bookmarkTitle(tab(), kept)}`;
      },
      enabled: () => active.get()?.document.workflow.bookmarks?.[digit] !== undefined, run: () => goToBookmark(tab(), digit),
    },
  ]);  return [list, ...byDigit];
}

function listBookmarks(): void {
  outlineShows.set("bookmarks");
  panel.set("outline");
}
