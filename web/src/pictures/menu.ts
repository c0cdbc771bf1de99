/** What a node's menu offers for pictures and values. */
import { t } from "../i18n";
import type { NodeId } from "../document/types";
import type { MenuItem } from "../shell/Menu";
import { active, type Tab } from "../shell/workspace";
import { pictureInputOf, valueOf } from "./actions";
import { openScreen, showPictures, type PictureInput } from "./screens";
import { inputAddress } from "./files";

/** The input of a node that names a picture; undefined when it has none, or none is chosen. */
export function targetOf(tab: Tab, id: NodeId): PictureInput | undefined {
  const { graph } = tab.place.get();
  const input = pictureInputOf(tab, graph, id);
  const target = input && { tab: tab.key, graph, node: id, input: input.name };
  return target && valueOf(target) !== "" ? target : undefined;
}

/** `input` is the widget that the menu was opened on. */
export function pictureItems(tab: Tab, id: NodeId, input?: string): readonly MenuItem[] {
  const { graph } = tab.place.get();
  const target = targetOf(tab, id);
  const value = target && valueOf(target);
  const sweep: MenuItem = {
    label: input === undefined ? t("sweep.open", "Sweep over values…") : t("sweep.openInput", "Sweep {input} over values…", { input }),
    separated: target === undefined,
    run: () => openScreen({ kind: "sweep", tab: tab.key, graph, node: id, ...(input === undefined ? {} : { input }) }),
  };
  if (target === undefined || value === undefined) return [sweep];
  return [
    { label: t("mask.open", "Paint a mask…"), separated: true, run: () => openScreen({ kind: "mask", target }) },
    { label: t("crop.open", "Crop the picture…"), run: () => openScreen({ kind: "crop", target }) },
    { label: t("picture.view", "Look at the picture"), run: () => showPictures([{ url: inputAddress(value), name: value }]) },
    sweep,
  ];
}

/** The one node that is selected, in the tab in front. */
function selected(): { readonly tab: Tab; readonly id: NodeId } | undefined {
  const tab = active.get();
  const nodes = tab?.view.get() === "graph" ? [...tab.selection.current.nodes] : [];
  return tab && nodes.length === 1 ? { tab, id: nodes[0]! } : undefined;
}

const withTarget = (): PictureInput | undefined => {
  const one = selected();
  return one && targetOf(one.tab, one.id);
};

/** The same for keyboard and palette: over the node that is selected. */
export const pictureCommands = () => [
  { id: "picture.mask", title: t("mask.open", "Paint a mask…"), keys: ["Ctrl+Alt+M"], enabled: () => withTarget() !== undefined, run: () => openScreen({ kind: "mask", target: withTarget()! }) },
  { id: "picture.crop", title: t("crop.open", "Crop the picture…"), enabled: () => withTarget() !== undefined, run: () => openScreen({ kind: "crop", target: withTarget()! }) },
  {
    id: "run.sweep",
    title: t("sweep.open", "Sweep over values…"),
    enabled: () => active.get() !== undefined,
    run: () => {
      const tab = active.get()!;
      openScreen({ kind: "sweep", tab: tab.key, graph: tab.place.get().graph, node: selected()?.id ?? "" });
    },
  },
  { id: "run.sheets", title: t("sheets.open", "Sheets of sweeps and batches…"), run: () => openScreen({ kind: "sheets" }) },
  { id: "view.gallery", title: t("gallery.whole", "Gallery in the whole window"), keys: ["Shift+G"], run: () => openScreen({ kind: "gallery" }) },
];
