/** Every command of the editor with its keys, which are those that people of this ecosystem have in their fingers. */
import { clearWaiting, pauseQueue, queue } from "../client/queue";
import { refreshModels } from "../client/models";
import { Store } from "../client/store";
import { bookmarkCommands } from "./bookmarks";
import { copy, duplicate, paste } from "./clipboard";
import { t } from "../i18n";
import { ROOT } from "../document/types";
import type { FromPort } from "./adding";
import { allCommands, register } from "./commands";
import { emptyWorkflow, loadSpecs, promptOf, textOf } from "./documents";
import { graphHandle } from "./graphHandle";
import { closeTab, keep, save } from "./keeping";
import * as nodes from "./nodeCommands";
import { chooseFiles, downloadText } from "./opening";
import { openTemplate } from "./templates";
import { pictureCommands } from "../pictures/menu";
import { PANELS, panel, type PanelId } from "./Rail";
import { autoRun, cancelRun, queueTab } from "./running";
import { look, looking, preference, setPreference } from "./preferences";
import { say } from "./toasts";
import { active, openTab, prefixOf, specs, tabs, TOP, type Tab } from "./workspace";

export const batchCount = new Store(1);
/** Where the node search opens, where its node goes, and the port that a link was dragged from. */
export interface SearchPlace {
  readonly x: number;
  readonly y: number;
  readonly at?: { readonly x: number; readonly y: number };
  readonly port?: FromPort;
}
export type Overlay = "palette" | "find" | "saveAs" | "keepTemplate" | { readonly search: SearchPlace };
export const overlay = new Store<Overlay | undefined>(undefined);

const tab = (): Tab => {
  const found = active.get();
  if (found === undefined) throw new Error(t("tab.none", "No workflow is open"));
  return found;
};
const hasTab = (): boolean => active.get() !== undefined;
const onGraph = (): boolean => active.get()?.view.get() === "graph";
const name = (): string => tab().name.get();

export function newTab(): void {
  void keep(openTab(emptyWorkflow(), { name: t("tab.untitled", "Untitled"), view: "graph" }));
}

function toggle(id: PanelId): void {
  panel.update((open) => (open === id ? undefined : id));
}

const PANEL_KEYS: Readonly<Partial<Record<PanelId, string>>> = { nodes: "N", workflows: "W", models: "M", queue: "Q", gallery: "G", outline: "O", settings: "Ctrl+," };

export function registerAll(): void {
  register(
    { id: "run.queue", title: t("run.queue", "Run"), keys: ["Ctrl+Enter"], enabled: hasTab, run: () => queueTab(tab(), { count: batchCount.get() }) },
    { id: "run.front", title: t("run.front", "Run before all that waits"), keys: ["Ctrl+Shift+Enter"], enabled: hasTab, run: () => queueTab(tab(), { count: batchCount.get(), front: true }) },
    { id: "run.cancel", title: t("run.cancel", "Cancel the run"), keys: ["Ctrl+Alt+Enter"], run: cancelRun },
    { id: "run.selected", title: t("run.selected", "Run what the selected nodes need"), enabled: nodes.hasNodes, run: () => queueTab(tab(), { only: [...tab().selection.current.nodes].map((id) => prefixOf(tab().place.get()) + id) }) },
    { id: "run.auto", title: t("run.auto", "Run at each change, on or off"), enabled: hasTab, run: () => autoRun.update((mode) => (mode === "change" ? "off" : "change")) },
    { id: "run.again", title: t("run.again", "Run again and again, on or off"), enabled: hasTab, run: () => autoRun.update((mode) => (mode === "instant" ? "off" : "instant")) },
    { id: "workflow.link", title: t("link.copy", "Copy a link to this form"), enabled: () => active.get()?.path.get() != null, run: copyLink },
    { id: "queue.clear", title: t("queue.clear", "Clear the queue"), run: clearWaiting },
    { id: "queue.pause", title: t("queue.pause", "Pause or go on with the queue"), run: () => pauseQueue(!queue.get().paused) },

    { id: "workflow.new", title: t("tab.new", "New workflow"), keys: ["Ctrl+Alt+N"], run: newTab },
    { id: "workflow.open", title: t("open.file", "Open a file…"), keys: ["Ctrl+O"], run: chooseFiles },
    { id: "workflow.save", title: t("save", "Save"), keys: ["Ctrl+S"], enabled: hasTab, run: () => (tab().path.get() === null ? overlay.set("saveAs") : save(tab()).then((done) => { if (done) say(t("save.done", "Saved {name}", { name: name() })); })) },
    { id: "workflow.saveAs", title: t("save.as", "Save as…"), keys: ["Ctrl+Shift+S"], enabled: hasTab, run: () => overlay.set("saveAs") },
    { id: "workflow.export", title: t("export", "Export as a file"), enabled: hasTab, run: () => downloadText(textOf(tab().document.workflow, specs.get()!), `${name()}.json`) },
    { id: "workflow.exportApi", title: t("export.api", "Export as an API prompt"), enabled: hasTab, run: () => downloadText(JSON.stringify(promptOf(tab().document.workflow, specs.get()!), null, 2), `${name()}_api.json`) },
    { id: "workflow.duplicate", title: t("duplicate", "Duplicate"), enabled: hasTab, run: () => keep(openTab(tab().document.workflow, { name: `${name()} 2`, saved: false, view: tab().view.get() })) },
    { id: "workflow.close", title: t("close", "Close"), keys: ["Ctrl+Alt+W"], enabled: hasTab, run: () => closeTab(tab()) },
    { id: "workflow.default", title: t("open.default", "Open the text-to-image graph"), keys: ["Ctrl+D"], run: () => openTemplate("text_to_image", "graph") },
    { id: "workflow.next", title: t("tab.next", "Next workflow"), keys: ["Ctrl+Alt+ArrowRight"], run: () => step(1) },
    { id: "workflow.previous", title: t("tab.previous", "Previous workflow"), keys: ["Ctrl+Alt+ArrowLeft"], run: () => step(-1) },

    { id: "edit.undo", title: t("undo", "Undo"), keys: ["Ctrl+Z"], enabled: hasTab, run: () => void tab().document.undo() },
    { id: "edit.redo", title: t("redo", "Redo"), keys: ["Ctrl+Y", "Ctrl+Shift+Z"], enabled: hasTab, run: () => void tab().document.redo() },
    { id: "edit.delete", title: t("delete", "Delete what is selected"), keys: ["Delete", "Backspace"], enabled: nodes.hasSelection, run: nodes.removeSelected },
    { id: "edit.copy", title: t("copy", "Copy"), keys: ["Ctrl+C"], enabled: () => nodes.hasNodes() && String(getSelection()) === "", run: copy },
    { id: "edit.cut", title: t("cut", "Cut"), keys: ["Ctrl+X"], enabled: nodes.hasNodes, run: () => copy().then(nodes.removeSelected) },
    { id: "edit.paste", title: t("paste", "Paste"), keys: ["Ctrl+V"], enabled: onGraph, run: () => paste(false) },
    { id: "edit.pasteLinked", title: t("paste.linked", "Paste with the links into it"), keys: ["Ctrl+Shift+V"], enabled: onGraph, run: () => paste(true) },
    { id: "edit.duplicate", title: t("duplicate.nodes", "Duplicate the nodes"), enabled: nodes.hasNodes, run: duplicate },
    { id: "edit.selectAll", title: t("selectAll", "Select all"), keys: ["Ctrl+A"], enabled: onGraph, run: nodes.selectAll },
    { id: "edit.clear", title: t("clear", "Clear the workflow"), keys: ["Ctrl+Backspace"], enabled: onGraph, run: () => { nodes.selectAll(); nodes.removeSelected(); } },
    { id: "node.add", title: t("node.add", "Add a node…"), keys: ["Shift+A"], enabled: onGraph, run: () => overlay.set({ search: { x: window.innerWidth / 2 - 260, y: 120 } }) },
    { id: "node.bypass", title: t("node.bypass", "Bypass"), keys: ["Ctrl+B"], enabled: nodes.hasNodes, run: () => nodes.toggleMode("bypass") },
    { id: "node.mute", title: t("node.mute", "Mute"), keys: ["Ctrl+M"], enabled: nodes.hasNodes, run: () => nodes.toggleMode("mute") },
    { id: "node.collapse", title: t("node.collapse", "Collapse or expand"), keys: ["Alt+C"], enabled: nodes.hasNodes, run: nodes.toggleCollapsed },
    { id: "node.pin", title: t("node.pin", "Pin or unpin"), keys: ["P"], enabled: nodes.hasNodes, run: nodes.togglePinned },
    { id: "node.group", title: t("node.group", "Group"), keys: ["Ctrl+G"], enabled: nodes.hasNodes, run: nodes.groupSelected },

    { id: "node.subgraph", title: t("node.subgraph", "Make a subgraph"), keys: ["Ctrl+Shift+E"], enabled: nodes.hasNodes, run: nodes.makeSubgraph },
    { id: "node.template", title: t("node.template", "Keep as a node template…"), enabled: nodes.hasNodes, run: () => overlay.set("keepTemplate") },
    { id: "node.unpack", title: t("node.unpack", "Unpack the subgraph"), enabled: nodes.isSubgraph, run: nodes.unpackSelected },
    { id: "edit.deleteCutting", title: t("delete.cutting", "Delete, and cut the links"), keys: ["Ctrl+Delete"], enabled: nodes.hasNodes, run: nodes.removeCutting },
    { id: "node.tidy", title: t("node.tidy", "Tidy the selected nodes, or all"), enabled: onGraph, run: nodes.tidySelected },
    { id: "node.collapseAll", title: t("collapse.all", "Collapse all nodes"), enabled: onGraph, run: () => nodes.collapseAll(true) },
    { id: "node.expandAll", title: t("expand.all", "Expand all nodes"), enabled: onGraph, run: () => nodes.collapseAll(false) },
    { id: "select.above", title: t("select.above", "Select what feeds them"), keys: ["Ctrl+Shift+ArrowLeft"], enabled: nodes.hasNodes, run: () => nodes.selectAlong("above") },
    { id: "select.below", title: t("select.below", "Select what they feed"), keys: ["Ctrl+Shift+ArrowRight"], enabled: nodes.hasNodes, run: () => nodes.selectAlong("below") },
    { id: "link.portal", title: t("link.portals", "Links as portals or wires"), keys: ["Alt+P"], enabled: nodes.hasSelection, run: () => nodes.portalSelected() },
    { id: "link.source", title: t("link.source", "Go to where the link starts"), keys: ["["], enabled: nodes.hasLink, run: () => nodes.goToEnd("from") },
    { id: "link.target", title: t("link.target", "Go to where the link ends"), keys: ["]"], enabled: nodes.hasLink, run: () => nodes.goToEnd("to") },
    { id: "view.trace", title: t("view.trace", "Trace the signal, or stop"), keys: ["T"], enabled: onGraph, run: () => graphHandle.get()?.toggleTrace() },
    ...bookmarkCommands(),
    { id: "node.alignLeft", title: t("align.left", "Align left"), enabled: nodes.hasNodes, run: () => nodes.alignSelected("left") },
    { id: "node.alignRight", title: t("align.right", "Align right"), enabled: nodes.hasNodes, run: () => nodes.alignSelected("right") },
    { id: "node.alignCentre", title: t("align.centre", "Align on one vertical"), enabled: nodes.hasNodes, run: () => nodes.alignSelected("centre") },
    { id: "node.alignBottom", title: t("align.bottom", "Align at the bottom"), enabled: nodes.hasNodes, run: () => nodes.alignSelected("bottom") },
    { id: "node.alignMiddle", title: t("align.middle", "Align on one horizontal"), enabled: nodes.hasNodes, run: () => nodes.alignSelected("middle") },
    { id: "node.alignTop", title: t("align.top", "Align at the top"), enabled: nodes.hasNodes, run: () => nodes.alignSelected("top") },
    { id: "node.distributeX", title: t("distribute.x", "Distribute sideways"), enabled: nodes.hasNodes, run: () => nodes.distributeSelected("x") },
    { id: "node.distributeY", title: t("distribute.y", "Distribute downwards"), enabled: nodes.hasNodes, run: () => nodes.distributeSelected("y") },

    { id: "view.fit", title: t("view.fit", "Show what is selected, or everything"), keys: ["."], enabled: onGraph, run: nodes.fitSelected },
    { id: "view.in", title: t("view.in", "Zoom in"), keys: ["Alt+="], enabled: onGraph, run: () => graphHandle.get()?.zoomBy(1.25) },
    { id: "view.out", title: t("view.out", "Zoom out"), keys: ["Alt+-"], enabled: onGraph, run: () => graphHandle.get()?.zoomBy(0.8) },
    { id: "view.toggle", title: t("view.toggle", "Form or graph"), keys: ["Ctrl+Alt+F"], enabled: hasTab, run: () => tab().view.update((view) => (view === "form" ? "graph" : "form")) },
    { id: "view.up", title: t("view.up", "Leave the subgraph"), keys: ["Escape"], enabled: () => onGraph() && tab().place.get().nodes.length > 0, run: leaveSubgraph },
    { id: "view.find", title: t("find", "Find in the graph"), keys: ["Ctrl+F"], enabled: hasTab, run: () => overlay.set("find") },
    { id: "view.palette", title: t("palette", "All commands"), keys: ["Ctrl+K", "Ctrl+Shift+P"], run: () => overlay.set("palette") },
    { id: "view.refresh", title: t("refresh", "Look for new nodes and models"), keys: ["R"], run: () => Promise.all([loadSpecs(), refreshModels()]).then(() => say(t("refresh.done", "Nodes and models are up to date"))) },
    { id: "view.minimap", title: t("view.minimap", "Overview map, on or off"), keys: ["Alt+M"], enabled: onGraph, run: () => setPreference("minimap", !preference("minimap").get()) },
    { id: "view.links", title: t("view.links", "Show or hide all links"), keys: ["L"], enabled: onGraph, run: () => look({ links: !looking.get().links }) },
    { id: "view.focus", title: t("view.focus", "Only the graph: hide all else, or show it again"), keys: ["F"], enabled: hasTab, run: () => look({ focus: !looking.get().focus }) },
    { id: "view.lock", title: t("view.lock", "Lock the graph against changes, or unlock it"), keys: ["Shift+L"], enabled: onGraph, run: () => look({ locked: !looking.get().locked }) },
    { id: "view.hand", title: t("view.hand", "Hand: drag moves the view"), keys: ["H"], enabled: onGraph, run: () => look({ hand: true }) },
    { id: "view.pointer", title: t("view.pointer", "Pointer: drag selects"), keys: ["V"], enabled: onGraph, run: () => look({ hand: false }) },
    { id: "view.snap", title: t("view.snap", "Nodes snap to the grid, on or off"), enabled: onGraph, run: () => setPreference("snap", !preference("snap").get()) },
    { id: "view.theme", title: t("theme.toggle", "Dark or light"), run: () => setPreference("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark") },
    { id: "edit.autosave", title: t("autosave.toggle", "Autosave on or off"), run: () => setPreference("autosave", !preference("autosave").get()) },
    ...pictureCommands(),
    ...PANELS.map((one) => {
      const key = PANEL_KEYS[one.id];
      return { id: `panel.${one.id}`, title: t("panel.show", "Panel: {name}", { name: one.title() }), ...(key ? { keys: [key] } : {}), run: () => toggle(one.id) };
    }),
  );
}

/** A link that opens the saved workflow as a form, for whoever may use this server. */
async function copyLink(): Promise<void> {
  const link = `${location.origin}/?open=${encodeURIComponent(tab().path.get() ?? "")}`;
  await navigator.clipboard?.writeText(link).catch(() => undefined);
  say(t("link.copied", "The link: {link}", { link }));
}

function step(by: number): void {
  const all = tabs.get();
  const at = all.findIndex((one) => one === active.get());
  active.set(all[(at + by + all.length) % all.length]);
}

/** Goes out to the node that was entered, which then is selected. */
export function leaveSubgraph(): void {
  const { place, selection } = tab();
  const { nodes } = place.get();
  const path = nodes.slice(0, -1);
  const left = nodes.at(-1)?.id;
  place.set(path.length === 0 ? TOP : { graph: path.at(-1)?.graph ?? ROOT, nodes: path });
  selection.set(left === undefined ? {} : { nodes: new Set([left]) });
  selection.focus(left);
}

export const commandCount = (): number => allCommands().length;
