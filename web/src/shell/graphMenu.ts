import type { Target } from "../canvas/hit";
import { specOf } from "../document/shown";
import { INPUTS, OUTPUTS, ROOT, type NodeId } from "../document/types";
import { t } from "../i18n";
import { allCommands, keysOf, runCommand } from "./commands";
import { graphHandle } from "./graphHandle";
import type { MenuItem } from "./Menu";
import { pictureItems } from "../pictures/menu";
import { isInForm, isSubgraph, paint, toggleInForm } from "./nodeCommands";
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

/** What can be done with what the pointer is on, `input` where that is a widget. What is not selected yet becomes so. */
export function graphMenu(tab: Tab, target: Target, search: () => void, input?: string): readonly MenuItem[] {
  if (target.kind === "link" || target.kind === "marker" || target.kind === "bend") {
    const graph = tab.place.get().graph;
    const hidden = tab.document.graph(graph).links.get(target.link)?.hidden === true;
    return [
      {
        label: hidden ? t("link.show", "Show this link") : t("link.hide", "Hide this link"),
        run: () => tab.document.apply({ do: "updateLink", graph, id: target.link, set: { hidden: !hidden } }, t("step.hide", "Hide a link")),
      },
      { label: t("link.delete", "Delete this link"), run: () => tab.document.apply({ do: "removeLinks", graph, ids: [target.link] }, t("step.unlink", "Delete a link")) },
    ];
  }
  if (target.kind === "groupTitle" || target.kind === "groupResize") {
    tab.selection.set({ groups: new Set([target.id]) });
    return [command("edit.delete")];
  }
  const border = target.kind === "port" ? target.port.node : "id" in target ? target.id : undefined;
  if (border === INPUTS || border === OUTPUTS) return borderItems(tab, border, target);
  const id = target.kind === "port" ? target.port.node : target.kind === "empty" ? undefined : target.id;
  if (id === undefined) {
    return [
      { label: t("node.add", "Add a node…"), run: search },
      command("edit.paste"),
      command("edit.selectAll", true),
      command("view.fit"),
      command("view.find"),
      command("run.queue", true),
    ];
  }
  if (!tab.selection.current.nodes.has(id)) tab.selection.set({ nodes: new Set([id]) });
  return [
    { label: t("rename", "Rename"), run: () => graphHandle.get()?.rename(id) },
    command("run.selected"),
    command("edit.copy", true),
    command("edit.duplicate"),
    command("edit.delete"),
    command("node.bypass", true),
    command("node.mute"),
    command("node.collapse"),
    command("node.pin"),
    command("node.group"),
    command("node.subgraph"),
    command("node.template"),
    ...(isSubgraph() ? [command("node.unpack")] : []),
    ...pictureItems(tab, id, input),
    ...formItems(tab, id),
    ...COLOURS.map(([value, name], at): MenuItem => ({ label: t("node.colour", "Colour: {name}", { name: name() }), separated: at === 0, spot: value, run: () => paint(value) })),
    { label: t("node.colour.none", "No colour"), spot: "", run: () => paint(undefined) },
  ];
}
