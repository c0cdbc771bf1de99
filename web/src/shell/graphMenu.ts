import type { Target } from "../canvas/hit";
import { t } from "../i18n";
import { allCommands, keysOf, runCommand } from "./commands";
import { graphHandle } from "./graphHandle";
import type { MenuItem } from "./Menu";
import { paint } from "./nodeCommands";
import type { Tab } from "./workspace";

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
    ...COLOURS.map(([value, name], at): MenuItem => ({ label: t("node.colour", "Colour: {name}", { name: name() }), separated: at === 0, run: () => paint(value) })),
    { label: t("node.colour.none", "No colour"), run: () => paint(undefined) },
  ];
}
