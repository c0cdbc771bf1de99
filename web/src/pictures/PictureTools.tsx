import { t } from "../i18n";
import type { Document, GraphId, NodeId } from "../document/types";
import { tabs } from "../shell/workspace";
import { openScreen } from "./screens";

interface Props {
  readonly document: Document;
  readonly graph: GraphId;
  readonly node: NodeId;
  readonly input: string;
}

/** What a form offers for a picture that is an input. */
export function PictureTools({ document, graph, node, input }: Props) {
  const tab = tabs.get().find((one) => one.document === document);
  if (tab === undefined) return null;
  const target = { tab: tab.key, graph, node, input };
  return (
    <div className="row">
      <button className="button tiny" onClick={() => openScreen({ kind: "mask", target })}>{t("mask.open", "Paint a mask…")}</button>
      <button className="button tiny" onClick={() => openScreen({ kind: "crop", target })}>{t("crop.open", "Crop the picture…")}</button>
    </div>
  );
}
