import type { Point } from "../canvas/camera";
import type { Target } from "../canvas/hit";
import { nextGroupId } from "../document/nodes";
import { specOf } from "../document/shown";
import { fitGroup, toggleMode } from "../document/operations/arrange";
import { INPUTS, OUTPUTS, ROOT, type Group, type GroupId, type LinkId, type NodeId } from "../document/types";
import { t } from "../i18n";
import { copy } from "./clipboard";
import { allCommands, keysOf, runCommand } from "./commands";
import { graphHandle } from "./graphHandle";
import type { MenuItem } from "./Menu";
import { pictureItems } from "../pictures/menu";
import { goToEnd, isInForm, isSubgraph, paint, portalSelected, promote, toggleInForm } from "./nodeCommands";
import { looking } from "./preferences";
import { specs, type Tab } from "./workspace";

/** Colours for nodes: dark enough that text on them stays readable in both themes. */
const COLOURS: readonly (readonly [string, () => string])[] = [
  ["#5c2b2e", () => t("colour.red", "Red")],
  ["#5a4526", () => t("colour.amber", "Amber")],
  ["#2c4a33", () => t("colour.green", "Green")],
  ["#2a4058", () => t("colour.blue", "Blue")],
  ["#46345c", () => t("colour.violet", "Violet")],
];

function command(id: string, separated = false): MenuItem {
  const found = allCommands().find((one) => one.id === id);
  const key = found && keysOf(found)[0];
  return { label: found?.title ?? id, keys: key, disabled: found === undefined || found.enabled?.() === false, separated, run: () => runCommand(id) };
}

/** Inputs of a node, to be put into the form or taken out; subgraphs have no form of their own. */
function formItems(tab: Tab, id: NodeId): readonly MenuItem[] {
  if (tab.place.get().graph !== ROOT) return [];
  const node = tab.document.node(ROOT, id);
  const inputs = (node && specOf(tab.document.workflow, node, specs.get() ?? new Map())?.inputs.filter((input) => input.widget && input.group !== "hidden")) ?? [];
  const output: readonly MenuItem[] = specs.get()?.get(node?.type ?? "")?.isOutput
    ? [{ label: isInForm(tab, id, null) ? t("form.output.remove", "Results not in the form") : t("form.output.add", "Results in the form"), separated: inputs.length === 0, run: () => toggleInForm(tab, id, null) }]
    : [];
  const items = inputs.slice(0, 12).map((input, at) => ({
    label: isInForm(tab, id, input.name) ? t("form.remove", "Not in the form: {name}", { name: input.name }) : t("form.add", "In the form: {name}", { name: input.name }),
    separated: at === 0,
    run: () => toggleInForm(tab, id, input.name),
  }));
  return [...items, ...output];
}

/** A border of the subgraph on screen, or one of its ports. */
function borderItems(tab: Tab, border: NodeId, target: Target): readonly MenuItem[] {
  const { graph } = tab.place.get();
  const side = border === INPUTS ? "inputs" : "outputs";
  const { borders, ...face } = tab.document.graph(graph);
  const handle = graphHandle.get();
  if (target.kind === "port") {
    const { port } = target;
    return [
      { label: t("rename", "Rename"), keys: "F2", run: () => handle?.renamePort(port) },
      { label: t("port.up", "Move up"), keys: "Alt+ArrowUp", disabled: port.index === 0, separated: true, run: () => handle?.shiftPort(port, -1) },
      { label: t("port.down", "Move down"), keys: "Alt+ArrowDown", disabled: port.index >= face[side].length - 1, run: () => handle?.shiftPort(port, 1) },
      { label: t("port.remove", "Take this port away"), keys: "Delete", separated: true, run: () => handle?.removePort(port) },
    ];
  }
  return [
    {
      label: t("border.back", "Back beside the nodes"), disabled: borders?.[side] === undefined,
      run: () => tab.document.apply({ do: "placeBorder", graph, border: side, at: null }, t("step.border", "Move a border")),
    },
    command("view.fit", true),
    command("view.up"),
  ];
}

/** A link: how it is shown, where it leads. */
function linkItems(tab: Tab, id: LinkId, branch: () => void): readonly MenuItem[] {
  const { graph } = tab.place.get();
  const link = tab.document.graph(graph).links.get(id);
  if (link === undefined) return [];
  const hidden = link.hidden === true;
  const portal = link.portal !== undefined;
  const rename: readonly MenuItem[] = portal ? [{ label: t("portal.name", "Name the portal…"), keys: "F2", run: () => graphHandle.get()?.namePortal(id) }] : [];
  return [
    { label: t("link.branch", "New link from here…"), disabled: looking.get().locked, run: branch },
    { label: t("link.source", "Go to where the link starts"), keys: "[", separated: true, run: () => goToEnd("from", id) },
    { label: t("link.target", "Go to where the link ends"), keys: "]", run: () => goToEnd("to", id) },
    { label: portal ? t("link.wire", "Show as a wire") : t("link.portal", "Show as a portal"), keys: "Alt+P", separated: true, run: () => portalSelected([id]) },
    ...rename,
    {
      label: hidden ? t("link.show", "Show this link") : t("link.hide", "Hide this link"),
      run: () => tab.document.apply({ do: "updateLink", graph, id, set: { hidden: !hidden } }, t("step.hide", "Hide a link")),
    },
    { label: t("link.delete", "Delete this link"), keys: "Delete", separated: true, run: () => tab.document.apply({ do: "removeLinks", graph, ids: [id] }, t("step.unlink", "Delete a link")) },
  ];
}

async function fitToNodes(tab: Tab, id: GroupId): Promise<void> {
  const { measured } = await import("./measured");
  const graph = tab.document.graph(tab.place.get().graph);
  if (graph.groups.has(id)) tab.document.apply(fitGroup(measured(tab, graph), id), t("step.groupFit", "Fit a group"));
}

/** A group: its name, its frame, and what is done to all of its nodes. */
function groupItems(tab: Tab, id: GroupId): readonly MenuItem[] {
  const { graph } = tab.place.get();
  const group = tab.document.graph(graph).groups.get(id);
  if (group === undefined) return [];
  const chosen = [...tab.selection.current.nodes].filter((node) => !group.members.includes(node));
  const put = (set: Partial<Group>, label: string): void => {
    const { color: _color, ...rest } = group;
    tab.document.apply({ do: "putGroups", graph, groups: ["color" in set ? { ...rest, ...(set.color !== undefined && { color: set.color }) } : { ...group, ...set }] }, label);
  };
  const mode = (to: "bypass" | "mute", label: string) => () => tab.document.apply(toggleMode(tab.document.graph(graph), group.members, to), label);
  const empty = group.members.length === 0;
  return [
    { label: t("rename", "Rename"), run: () => graphHandle.get()?.renameGroup(id) },
    { label: t("group.fit", "Draw it around its nodes"), disabled: empty, run: () => void fitToNodes(tab, id) },
    { label: t("group.select", "Select its nodes"), disabled: empty, run: () => tab.selection.set({ nodes: new Set(group.members) }) },
    { label: t("group.take", "Take the selected nodes in"), disabled: chosen.length === 0, run: () => put({ members: [...group.members, ...chosen] }, t("step.groupTake", "Take nodes into a group")) },
    { label: t("node.bypass", "Bypass"), disabled: empty, separated: true, run: mode("bypass", t("step.bypass", "Bypass")) },
    { label: t("node.mute", "Mute"), disabled: empty, run: mode("mute", t("step.mute", "Mute")) },
    ...COLOURS.map(([value, name], at): MenuItem => ({ label: t("node.colour", "Colour: {name}", { name: name() }), separated: at === 0, spot: value, run: () => put({ color: value }, t("step.colour", "Colour")) })),
    { label: t("node.colour.none", "No colour"), spot: "", run: () => put({ color: undefined } as unknown as Partial<Group>, t("step.colour", "Colour")) },
    {
      label: t("group.delete", "Delete the group, keep its nodes"), keys: "Delete", separated: true,
      run: () => tab.document.apply({ do: "removeGroups", graph, ids: [id] }, t("step.delete", "Delete")),
    },
  ];
}

/** What is done with the way of the signal through a node, in a menu of its own. */
const signalItems = (): readonly MenuItem[] => [
  command("view.trace"),
  command("select.above"),
  command("select.below"),
  command("link.portal", true),
  command("edit.deleteCutting", true),
];

const arrangeItems = (): readonly MenuItem[] => [
  command("node.alignLeft"),
  command("node.alignCentre"),
  command("node.alignRight"),
  command("node.alignTop", true),
  command("node.alignMiddle"),
  command("node.alignBottom"),
  command("node.distributeX", true),
  command("node.distributeY"),
  command("node.tidy", true),
];

function addGroup(tab: Tab, at: Point): void {
  const { graph } = tab.place.get();
  const id = nextGroupId(tab.document.graph(graph));
  const group: Group = { id, title: t("group", "Group"), x: Math.round(at.x), y: Math.round(at.y), width: 420, height: 320, members: [] };
  tab.document.apply({ do: "putGroups", graph, groups: [group] }, t("step.group", "Group"));
  graphHandle.get()?.renameGroup(id);
}

type More = (label: string, items: readonly MenuItem[]) => void;

/**
 * What can be done with what the pointer is on, `input` where that is a widget. What is not selected yet becomes so;
 * `more` opens another menu in the place of this one.
 */
export function graphMenu(tab: Tab, target: Target, at: Point, search: () => void, more: More, input?: string): readonly MenuItem[] {
  if (target.kind === "link" || target.kind === "marker" || target.kind === "bend" || target.kind === "sprout") return linkItems(tab, target.link, () => graphHandle.get()?.branch(target, at));
  if (target.kind === "groupTitle" || target.kind === "groupResize") {
    tab.selection.set({ ...tab.selection.current, groups: new Set([target.id]) });
    return groupItems(tab, target.id);
  }
  const border = target.kind === "port" ? target.port.node : "id" in target ? target.id : undefined;
  if (border === INPUTS || border === OUTPUTS) return borderItems(tab, border, target);
  if (border === undefined) {
    return [
      { label: t("node.add", "Add a node…"), run: search },
      { label: t("group.add", "Add a group here"), run: () => addGroup(tab, at) },
      command("edit.paste", true),
      command("edit.pasteLinked"),
      command("edit.selectAll", true),
      command("node.tidy"),
      command("node.collapseAll"),
      command("node.expandAll"),
      command("view.fit", true),
      command("view.find"),
      command("run.queue", true),
    ];
  }
  if (!tab.selection.current.nodes.has(border)) tab.selection.set({ nodes: new Set([border]) });
  return nodeItems(tab, border, more, input);
}

/** Inputs inside a subgraph that its nodes could show: those that nothing feeds. */
function promotable(tab: Tab, id: NodeId): readonly string[] {
  const { graph } = tab.place.get();
  const node = graph === ROOT ? undefined : tab.document.node(graph, id);
  if (node === undefined) return [];
  const fed = new Set(tab.document.linksOf(graph, id).in.map((link) => node.inputs[link.input]?.name));
  const declared = specOf(tab.document.workflow, node, specs.get() ?? new Map())?.inputs.filter((input) => input.group !== "hidden") ?? [];
  return declared.map((input) => input.name).filter((name) => !fed.has(name));
}

function promoteItems(tab: Tab, id: NodeId, more: More, input: string | undefined): readonly MenuItem[] {
  const names = promotable(tab, id);
  if (names.length === 0) return [];
  const label = t("menu.promote", "Show outside…");
  const item = (name: string, separated: boolean): MenuItem => ({ label: t("promote.input", "Show outside: {name}", { name }), separated, run: () => promote(tab, id, name) });
  if (input !== undefined && names.includes(input)) return [item(input, true), { label, run: () => more(label, names.map((name) => item(name, false))) }];
  return [{ label, separated: true, run: () => more(label, names.map((name) => item(name, false))) }];
}

function nodeItems(tab: Tab, id: NodeId, more: More, input: string | undefined): readonly MenuItem[] {
  const signal = t("menu.signal", "Signal and links…");
  const arrange = t("menu.arrange", "Align and distribute…");
  const several: readonly MenuItem[] = tab.selection.current.nodes.size > 1 ? [{ label: arrange, run: () => more(arrange, arrangeItems()) }] : [];
  return [
    { label: t("rename", "Rename"), keys: "F2", run: () => graphHandle.get()?.rename(id) },
    command("run.selected"),
    // Text selected in a widget is none of what a node's own menu copies.
    { ...command("edit.copy", true), disabled: false, run: () => void copy() },
    command("edit.duplicate"),
    command("edit.delete"),
    { label: signal, separated: true, run: () => more(signal, signalItems()) },
    ...several,
    command("node.bypass", true),
    command("node.mute"),
    command("node.collapse"),
    command("node.pin"),
    command("node.group"),
    command("node.subgraph"),
    command("node.template"),
    ...(isSubgraph() ? [command("node.unpack")] : []),
    ...promoteItems(tab, id, more, input),
    ...pictureItems(tab, id, input),
    ...formItems(tab, id),
    ...COLOURS.map(([value, name], at): MenuItem => ({ label: t("node.colour", "Colour: {name}", { name: name() }), separated: at === 0, spot: value, run: () => paint(value) })),
    { label: t("node.colour.none", "No colour"), spot: "", run: () => paint(undefined) },
  ];
}
