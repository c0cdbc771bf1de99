import { lazy, Suspense, type ComponentType, type LazyExoticComponent } from "react";
import { queue } from "../client/queue";
import { Store, useStore } from "../client/store";
import { extensions } from "../extensions/load";
import { t } from "../i18n";
import { keyHint, runCommand } from "./commands";
import { Icon, type IconName } from "./icons";

export type PanelId = "nodes" | "workflows" | "models" | "queue" | "gallery" | "outline" | "history" | "extensions" | "settings";
export const panel = new Store<PanelId | undefined>(undefined);

/** Which of its lists the outline shows. */
export const outlineShows = new Store<"nodes" | "bookmarks">("nodes");

interface PanelFacts {
  readonly id: PanelId;
  readonly icon: IconName;
  readonly title: () => string;
  readonly body: LazyExoticComponent<ComponentType>;
}
/** Each panel is fetched when it is first opened. */
export const PANELS: readonly PanelFacts[] = [
  { id: "nodes", icon: "nodes", title: () => t("panel.nodes", "Nodes"), body: lazy(() => import("./panels/Nodes")) },
  { id: "workflows", icon: "workflows", title: () => t("panel.workflows", "Workflows"), body: lazy(() => import("./panels/Workflows")) },
  { id: "models", icon: "models", title: () => t("panel.models", "Models"), body: lazy(() => import("./panels/Models")) },
  { id: "queue", icon: "queue", title: () => t("panel.queue", "Queue"), body: lazy(() => import("./panels/Queue")) },
  { id: "gallery", icon: "gallery", title: () => t("panel.gallery", "Pictures"), body: lazy(() => import("./panels/Gallery")) },
  { id: "outline", icon: "outline", title: () => t("panel.outline", "Outline"), body: lazy(() => import("./panels/Outline")) },
  { id: "history", icon: "history", title: () => t("panel.history", "History"), body: lazy(() => import("./panels/History")) },
  { id: "extensions", icon: "extensions", title: () => t("panel.extensions", "Packs"), body: lazy(() => import("./panels/Extensions")) },
  { id: "settings", icon: "settings", title: () => t("panel.settings", "Settings"), body: lazy(() => import("./panels/Settings")) },
];

export function Rail() {
  const open = useStore(panel);
  const { running, waiting } = useStore(queue);
  const busy = running.length + waiting.length;
  const brought = useStore(extensions).length > 0;
  return (
    <nav className="rail" aria-label={t("panels", "Panels")}>
      {PANELS.filter((one) => one.id !== "extensions" || brought).map((one) => (
        <RailButton key={one.id} one={one} open={open === one.id} badge={one.id === "queue" ? busy : 0} />
      ))}
    </nav>
  );
}

function RailButton({ one, open, badge }: { readonly one: PanelFacts; readonly open: boolean; readonly badge: number }) {
  return (
    <>
      {one.id === "settings" && <span className="spacer" />}
      <button aria-pressed={open} title={one.title() + keyHint(`panel.${one.id}`)} onClick={() => runCommand(`panel.${one.id}`)}>
        <Icon name={one.icon} />
        {one.title()}
        {badge > 0 && <span className="badge">{badge}</span>}
      </button>
    </>
  );
}

export function PanelHost() {
  const open = useStore(panel);
  const facts = PANELS.find((one) => one.id === open);
  if (facts === undefined) return null;
  const Body = facts.body;
  return (
    <aside className="panel" aria-label={facts.title()}>
      <header>
        <h2>{facts.title()}</h2>
        <button className="button bare icon" aria-label={t("close", "Close")} onClick={() => panel.set(undefined)}>
          <Icon name="close" />
        </button>
      </header>
      <Suspense fallback={<div className="body"><PanelWait /></div>}>
        <Body />
      </Suspense>
    </aside>
  );
}

export function PanelWait() {
  return (
    <div className="list" aria-busy="true">
      {[82, 64, 73, 58, 79].map((width) => (
        <div key={width} className="entry"><span className="skeleton" style={{ width: `${width}%`, height: 14 }} /></div>
      ))}
    </div>
  );
}
