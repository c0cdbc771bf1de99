import { lazy, Suspense, useCallback, useState } from "react";
import { useStore } from "../client/store";
import { t } from "../i18n";
import { shown } from "./commands";
import { Icon } from "./icons";
import { savedAt } from "./keeping";
import { socket } from "./running";
import { useRevision } from "./useDocument";
import { active, isUnsaved, type Tab } from "./workspace";

const Gauges = lazy(() => import("./memory/Gauges"));

export function StatusBar() {
  const tab = useStore(active);
  const connection = useStore(socket.connection);
  return (
    <footer className="statusbar">
      <span role="status" className={`lamp ${connection}`}>
        {connection === "open"
          ? t("status.open", "Connected")
          : connection === "lost"
            ? t("status.lost", "The server is away. Your work is kept here; trying again…")
            : t("status.connecting", "Connecting…")}
      </span>
      {tab && <TabStatus tab={tab} />}
      <span className="grow" />
      <MemoryButton />
      <span className="toponly">{t("status.palette", "{key} for all commands", { key: shown("Ctrl+K") })}</span>
    </footer>
  );
}

function MemoryButton() {
  const [anchor, setAnchor] = useState<Element>();
  const close = useCallback(() => setAnchor(undefined), []);
  return (
    <>
      <button className="memorybutton" aria-expanded={anchor !== undefined} onClick={(event) => setAnchor(anchor ? undefined : event.currentTarget)}>
        <Icon name="memory" /> {t("gauges.short", "Memory")}
      </button>
      {anchor && (
        <Suspense fallback={null}>
          <Gauges anchor={anchor} close={close} />
        </Suspense>
      )}
    </>
  );
}

function TabStatus({ tab }: { readonly tab: Tab }) {
  useRevision(tab.document);
  useStore(tab.saved);
  useStore(savedAt);
  const path = useStore(tab.path);
  const run = useStore(tab.run.summary);
  const place = useStore(tab.place);
  const nodes = tab.document.workflow.graphs.get(place.graph)?.nodes.size ?? 0;
  const seconds = ((run.ended || Date.now()) - run.began) / 1000;
  const phases: Readonly<Record<typeof run.phase, string>> = {
    idle: "",
    queued: t("run.queued", "Waiting in the queue"),
    running: t("run.running", "Running, {percent} %", { percent: Math.round(run.progress * 100) }),
    done: run.began > 0 ? t("run.done", "Done in {seconds} s", { seconds: seconds.toFixed(1) }) : t("run.done.short", "Done"),
    failed: t("run.failed", "Failed: {message}", { message: run.message }),
    cancelled: t("run.cancelled", "Cancelled"),
  };
  return (
    <>
      <span>{t("status.nodes", "{count} nodes", { count: nodes })}</span>
      <span>
        {path === null ? t("status.nofile", "Kept in this browser") : isUnsaved(tab) ? t("unsaved", "unsaved") : t("status.saved", "Saved")}
      </span>
      <span role="status">{phases[run.phase]}</span>
    </>
  );
}

/** A thin line over everything: how far the run is. */
export function ProgressLine({ tab }: { readonly tab: Tab }) {
  const run = useStore(tab.run.summary);
  if (run.phase !== "running") return null;
  return (
    <div className="progressline" role="progressbar" aria-label={t("run.progress", "Progress")} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(run.progress * 100)}>
      <i style={{ transform: `scaleX(${run.progress})` }} />
    </div>
  );
}
