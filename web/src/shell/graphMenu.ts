import type { Target } from "../canvas/hit";
import { specOf } from "../document/shown";
import { ROOT, type NodeId } from "../document/types";
import { t } from "../i18n";
import { allCommands, keysOf, runCommand } from "./commands";
import { graphHandle } from "./graphHandle";
import type { MenuItem } from "./Menu";
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
  return inputs.slice(0, 12).map((input, at) => ({
    label: isInForm(tab, id, input.name) ? t("form.remove", "Not in the form: {name}", { name: input.name }) : t("form.add", "In the form: {name}", { name: input.name }),
    separated: at === 0,
    run: () => toggleInForm(tab, id, input.name),
  }));
}

/** What can be done with what the pointer is on. What is not selected yet becomes so. */
export function graphMenu(tab: Tab, target: Target, search: () => void): readonly MenuItem[] {
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
    ...(isSubgraph() ? [command("node.unpack")] : []),
    ...formItems(tab, id),
    ...COLOURS.map(([value, name], at): MenuItem => ({ label: t("node.colour", "Colour: {name}", { name: name() }), separated: at === 0, run: () => paint(value) })),
    { label: t("node.colour.none", "No colour"), run: () => paint(undefined) },
  ];
}
