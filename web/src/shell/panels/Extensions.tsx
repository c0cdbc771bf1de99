import { lazy, Suspense } from "react";
import { useStore } from "../../client/store";
import { t } from "../../i18n";
import { extensions, shownPanel } from "../../extensions/load";
import { Select } from "../controls/Select";
import { Icon } from "../icons";
import { PanelWait } from "../Rail";

const FramePanel = lazy(() => import("../../extensions/FramePanel"));

/** Panels of the packs whose pages were approved; of the others, how to approve them. One of several is loaded when it is chosen, not before. */
export default function Extensions() {
  const all = useStore(extensions);
  const chosen = useStore(shownPanel);
  const panels = all.flatMap(({ pack, manifest }) => manifest?.panels.map((panel) => ({ id: `${pack}/${panel.id}`, pack, manifest, panel })) ?? []);
  const open = panels.find((one) => one.id === chosen) ?? (panels.length === 1 ? panels[0] : undefined);
  const unused = all.filter((one) => one.manifest === undefined);
  return (
    <>
      {panels.length > 1 && (
        <div className="tools">
          <Select label={t("extensions.panel", "Panel of an extension")} value={open?.id ?? ""} placeholder={t("extensions.choose", "Choose a panel")} options={panels.map((one) => ({ value: one.id, label: one.panel.title, detail: one.manifest.title }))} set={(id) => shownPanel.set(id)} />
        </div>
      )}
      {open && (
        <Suspense fallback={<div className="body"><PanelWait /></div>}>
          <FramePanel key={open.id} {...open} />
        </Suspense>
      )}
      {panels.length === 0 && unused.length === 0 && (
        <div className="empty">
          <Icon name="extensions" />
          <p>{t("extensions.none", "No pack brings anything for the editor. docs/extensions.md says how one does.")}</p>
        </div>
      )}
      {unused.length > 0 && (
        <div className="tools unused">
          {unused.map((one) => (
            <div key={one.pack} className="notice">
              <b>{one.pack}</b>
              <p className="small quiet">{one.approved ? t("extensions.broken", "It is not in use: {why}", { why: one.problem ?? "" }) : t("extensions.unapproved", "Its pages were not approved, so none of them is loaded. {how}", { how: one.problem ?? "" })}</p>
            </div>
          ))}
        </div>
      )}
    </>
  );
}
