/** Which nodes fit the end of a dragged link: for the search and for the short menu. */
import { t } from "../i18n";
import type { NodeSpec } from "../document/types";
import { addNode, slotFor, type FromPort } from "./adding";
import { addable } from "./editorTypes";
import type { MenuItem } from "./Menu";
import { preference } from "./preferences";
import { rank, type Candidate } from "./ranking";
import { active, specs } from "./workspace";

/** How many the menu names. */
const FEW = 9;

/** All types that can be added in the graph on screen, or those that a port fits. */
export function fittingTypes(port: FromPort | undefined): readonly (Candidate & { readonly spec: NodeSpec })[] {
  const tab = active.get();
  const known = specs.get();
  const all = tab && known ? addable(tab.document.workflow, tab.place.get().graph, known) : [];
  return all
    .filter((spec) => !port || slotFor(spec, port) !== undefined)
    .map((spec) => ({ id: spec.type, title: spec.title, also: spec.category, category: spec.category.split("/")[0] ?? "", spec }));
}

/** What is added most at the end of such a link; the search has the rest. */
export function fittingItems(at: { readonly x: number; readonly y: number }, port: FromPort, search: () => void): readonly MenuItem[] {
  const few = rank("", fittingTypes(port), preference("used").get()).slice(0, FEW);
  return [
    ...few.map((one): MenuItem => ({ label: one.title, run: () => addNode(one.id, at, port) })),
    { label: t("node.add", "Add a node…"), separated: few.length > 0, run: search },
  ];
}
