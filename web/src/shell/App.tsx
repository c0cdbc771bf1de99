import { lazy, Suspense, useEffect, useState } from "react";
import { useStore } from "../client/store";
import { t } from "../i18n";
import { overlay } from "./actions";
import { handleKey } from "./commands";
import { FormView } from "./FormView";
import { Icon } from "./icons";
import { Lightbox } from "./Lightbox";
import { MenuHost } from "./Menu";
import { openFiles } from "./opening";
import { PanelHost, Rail } from "./Rail";
import { ProgressLine, StatusBar } from "./StatusBar";
import { openTemplate } from "./templates";
import { Toasts } from "./Toasts";
import { TopBar } from "./TopBar";
import { compared } from "./versions/compared";
import { active, type Tab } from "./workspace";
import { runCommand } from "./commands";
import { looking } from "./preferences";
import { sayError } from "./toasts";

const GraphScreen = lazy(() => import("./GraphScreen"));
const finders = () => import("./finders");
const CommandPalette = lazy(() => finders().then((one) => ({ default: one.CommandPalette })));
const NodeSearch = lazy(() => finders().then((one) => ({ default: one.NodeSearch })));
const FindInGraph = lazy(() => finders().then((one) => ({ default: one.FindInGraph })));
const KeepTemplate = lazy(() => finders().then((one) => ({ default: one.KeepTemplate })));
const SaveAs = lazy(() => finders().then((one) => ({ default: one.SaveAs })));

export function App({ ready }: { readonly ready: boolean }) {
  const tab = useStore(active);
  const { focus } = useStore(looking);
  useEffect(() => {
    window.addEventListener("keydown", handleKey);
    return () => window.removeEventListener("keydown", handleKey);
  }, []);
  return (
    <div className="shell" data-focus={focus || undefined}>
      <TopBar />
      <Rail />
      <PanelHost />
      <main className="main" aria-label={t("main", "Workflow")}>
        {tab && <ProgressLine tab={tab} />}
        {tab ? <Screen key={keyOfTab(tab)} tab={tab} /> : ready ? <Nothing /> : <Waiting />}
        <DropZone />
        <Toasts />
      </main>
      <StatusBar />
      <Overlays />
      <MenuHost />
      <Lightbox />
      <Comparison />
    </div>
  );
}

const keys = new WeakMap<Tab, string>();
let made = 0;
/** A tab whose document was replaced is another one to React, although its key stays. */
function keyOfTab(tab: Tab): string {
  const key = keys.get(tab) ?? `tab${made++}`;
  keys.set(tab, key);
  return key;
}

function Screen({ tab }: { readonly tab: Tab }) {
  const view = useStore(tab.view);
  if (view === "form") return <FormView tab={tab} />;
  return (
    <Suspense fallback={<Waiting />}>
      <GraphScreen tab={tab} />
    </Suspense>
  );
}

const Compare = lazy(() => import("./versions/Compare"));

function Comparison() {
  const open = useStore(compared);
  return open ? (
    <Suspense fallback={null}>
      <Compare {...open} />
    </Suspense>
  ) : null;
}

function Overlays() {
  const open = useStore(overlay);
  if (open === undefined) return null;
  return (
    <Suspense fallback={null}>
      {open === "palette" && <CommandPalette />}
      {open === "find" && <FindInGraph />}
      {open === "saveAs" && <SaveAs />}
      {open === "keepTemplate" && <KeepTemplate />}
      {typeof open === "object" && <NodeSearch {...open.search} />}
    </Suspense>
  );
}

function Waiting() {
  return (
    <div className="form" aria-busy="true" aria-label={t("loading", "Loading")}>
      <div className="inputs">
        {[132, 36, 36, 36].map((height, at) => (
          <span key={at} className="skeleton" style={{ height }} />
        ))}
      </div>
      <div className="outputs" />
    </div>
  );
}

function Nothing() {
  return (
    <div className="empty">
      <Icon name="workflows" />
      <p>{t("nothing", "No workflow is open.")}</p>
      <div className="row">
        <button className="button" onClick={() => void openTemplate("text_to_image", "form").catch(sayError)}>
          {t("nothing.start", "Start with text to image")}
        </button>
        <button className="button" onClick={() => runCommand("workflow.new")}>
          {t("tab.new", "New workflow")}
        </button>
        <button className="button" onClick={() => runCommand("workflow.open")}>
          {t("open.file", "Open a file…")}
        </button>
      </div>
    </div>
  );
}

/** Files dropped anywhere are opened; while one is over the page, it says so. */
function DropZone() {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const files = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent): void => {
      if (!files(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const leave = (event: DragEvent): void => {
      if (event.relatedTarget === null) setOver(false);
    };
    const drop = (event: DragEvent): void => {
      setOver(false);
      if (!files(event) || event.defaultPrevented) return;
      event.preventDefault();
      void openFiles([...(event.dataTransfer?.files ?? [])]);
    };
    window.addEventListener("dragover", enter);
    window.addEventListener("dragleave", leave);
    window.addEventListener("drop", drop);
    return () => {
      window.removeEventListener("dragover", enter);
      window.removeEventListener("dragleave", leave);
      window.removeEventListener("drop", drop);
    };
  }, []);
  return over ? <div className="dropping">{t("drop", "Drop to open: workflows, pictures with a workflow in them, pictures")}</div> : null;
}
