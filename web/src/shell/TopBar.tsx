import { useState } from "react";
import { queue } from "../client/queue";
import { useStore } from "../client/store";
import { t } from "../i18n";
import { keyHint, runCommand } from "./commands";
import { Icon, Mark } from "./icons";
import { closeTab } from "./keeping";
import { showMenu } from "./Menu";
import { batchCount } from "./actions";
import { autoRun } from "./running";
import { useRevision } from "./useDocument";
import { active, isUnsaved, tabs, type Tab, type View } from "./workspace";

export function TopBar() {
  const all = useStore(tabs);
  const tab = useStore(active);
  return (
    <header className="topbar">
      <div className="brand" title="Safelight">
        <Mark />
      </div>
      <nav className="tabs" aria-label={t("tabs", "Open workflows")}>
        {all.map((one) => (
          <TabButton key={one.key} tab={one} current={one === tab} />
        ))}
      </nav>
      <button className="button bare icon" aria-label={t("tab.new", "New workflow")} title={t("tab.new", "New workflow") + keyHint("workflow.new")} onClick={() => runCommand("workflow.new")}>
        <Icon name="plus" />
      </button>
      <span className="grow" />
      {tab && <ViewSwitch tab={tab} />}
      {tab && <GraphRun tab={tab} />}
    </header>
  );
}

function TabButton({ tab, current }: { readonly tab: Tab; readonly current: boolean }) {
  const name = useStore(tab.name);
  useRevision(tab.document);
  useStore(tab.saved);
  const unsaved = isUnsaved(tab);
  return (
    <div className="tab" data-active={current}>
      <button
        className="name"
        aria-current={current ? "page" : undefined}
        onClick={() => active.set(tab)}
        onContextMenu={(event) => {
          event.preventDefault();
          active.set(tab);
          showMenu(event.clientX, event.clientY, name, [
            { label: t("save", "Save"), run: () => runCommand("workflow.save") },
            { label: t("save.as", "Save as…"), run: () => runCommand("workflow.saveAs") },
            { label: t("duplicate", "Duplicate"), run: () => runCommand("workflow.duplicate") },
            { label: t("close", "Close"), run: () => closeTab(tab), separated: true },
          ]);
        }}
      >
        {name}
        {unsaved && <span className="hidden-label"> ({t("unsaved", "unsaved")})</span>}
      </button>
      <button className="close" aria-label={t("tab.close", "Close {name}", { name })} onClick={() => closeTab(tab)}>
        {unsaved ? <span className="dot" /> : <Icon name="close" />}
      </button>
    </div>
  );
}

function ViewSwitch({ tab }: { readonly tab: Tab }) {
  const view = useStore(tab.view);
  const button = (id: View, label: string) => (
    <button aria-pressed={view === id} onClick={() => tab.view.set(id)}>
      {label}
    </button>
  );
  return (
    <div className="segmented" role="group" aria-label={t("view", "View")}>
      {button("form", t("view.form", "Form"))}
      {button("graph", t("view.graph", "Graph"))}
    </div>
  );
}

/** The form has a button of its own: one red thing on the screen. */
function GraphRun({ tab }: { readonly tab: Tab }) {
  return useStore(tab.view) === "graph" ? <RunBox /> : null;
}

function RunBox() {
  const count = useStore(batchCount);
  const [text, setText] = useState(String(count));
  const { running, waiting } = useStore(queue);
  const busy = running.length + waiting.length;
  const auto = useStore(autoRun);
  return (
    <div className="runbox">
      {auto && (
        <button className="button tiny on" onClick={() => autoRun.set(false)}>
          {t("run.auto.on", "At each change")} <Icon name="close" />
        </button>
      )}
      <span className="queuestate quiet small" role="status">
        {busy > 0 ? t("queue.state", "{count} in the queue", { count: busy }) : ""}
      </span>
      <label className="count-label">
        <span className="hidden-label">{t("run.count", "How many times")}</span>
        <input
          className="field count"
          type="number"
          min={1}
          max={100}
          value={text}
          title={t("run.count", "How many times")}
          onChange={(event) => {
            setText(event.target.value);
            const wanted = Math.round(Number(event.target.value));
            if (wanted >= 1 && wanted <= 100) batchCount.set(wanted);
          }}
          onBlur={() => setText(String(batchCount.get()))}
        />
      </label>
      {running.length > 0 && (
        <button className="button icon" aria-label={t("run.cancel", "Cancel the run")} title={t("run.cancel", "Cancel the run") + keyHint("run.cancel")} onClick={() => runCommand("run.cancel")}>
          <Icon name="stop" />
        </button>
      )}
      <button className="button run" title={t("run.queue", "Run") + keyHint("run.queue")} onClick={() => runCommand("run.queue")}>
        <Icon name="play" /> {t("run", "Run")}
      </button>
    </div>
  );
}
