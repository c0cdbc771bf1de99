/** Nodes kept under a name, with the links between them, to be put into any workflow. */
import { clipFromText, clipToText, copy, paste } from "../document/operations/clipboard";
import { t } from "../i18n";
import { graphHandle } from "./graphHandle";
import { preference, setPreference } from "./preferences";
import { say } from "./toasts";
import { active } from "./workspace";

export interface NodeTemplate {
  readonly name: string;
  readonly text: string;
}

/** Keep the selected nodes as a template; one of the same name is replaced. */
export function keepTemplate(name: string): void {
  const tab = active.get();
  if (tab === undefined || name === "") return;
  const text = clipToText(copy(tab.document.workflow, tab.place.get().graph, tab.selection.current.nodes));
  const others = preference("templates").get().filter((one) => one.name !== name);
  setPreference("templates", [...others, { name, text }].sort((a, b) => a.name.localeCompare(b.name)));
  say(t("templates.kept", "{name} is among the node templates now", { name }));
}

export function removeTemplate(name: string): void {
  const before = preference("templates").get();
  setPreference("templates", before.filter((one) => one.name !== name));
  say(t("templates.removed", "The template {name} was removed", { name }), "note", "", { label: t("undo", "Undo"), run: () => setPreference("templates", before) });
}

export function putTemplate(template: NodeTemplate): void {
  const tab = active.get();
  const clip = clipFromText(template.text);
  if (tab === undefined || clip === undefined) return;
  tab.view.set("graph");
  const at = graphHandle.get()?.toGraph(window.innerWidth / 2 - 120, window.innerHeight / 2 - 120) ?? { x: 0, y: 0 };
  const { command, ids } = paste(tab.document.workflow, tab.place.get().graph, clip, { x: Math.round(at.x), y: Math.round(at.y) }, false);
  tab.document.apply(command, t("step.template", "Add {name}", { name: template.name }));
  tab.selection.set({ nodes: new Set(ids) });
}
