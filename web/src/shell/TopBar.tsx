import type { MouseEvent } from "react";
import { queue } from "../client/queue";
import { useStore } from "../client/store";
import { t } from "../i18n";
import { allCommands, isEnabled, keyHint, keysOf, runCommand } from "./commands";
import { Segments } from "./controls/Segments";
import { Stepper } from "./controls/Stepper";
import { Icon, Mark } from "./icons";
import { closeTab } from "./keeping";
import { EstimateChip } from "./memory/EstimateChip";
import { showMenu } from "./Menu";
import { batchCount } from "./actions";
import { autoRun, type AutoMode } from "./running";
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
        dir="auto"
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
  const views: readonly (readonly [View, string])[] = [
    ["form", t("view.form", "Form")],
    ["graph", t("view.graph", "Graph")],
  ];
  return <Segments label={t("view", "View")} value={view} choices={views} set={(wanted) => tab.view.set(wanted)} />;
}

/** The form has a button of its own: one red thing on the screen. */
function GraphRun({ tab }: { readonly tab: Tab }) {
  return useStore(tab.view) === "graph" ? <RunBox tab={tab} /> : null;
}

const AUTO_WORDS: Readonly<Record<AutoMode, () => string>> = {
  off: () => t("run.auto.off", "Only when asked"),
  change: () => t("run.auto.on", "At each change"),
  instant: () => t("run.auto.instant", "Again and again"),
};

function RunBox({ tab }: { readonly tab: Tab }) {
  const count = useStore(batchCount);
  const { running, waiting } = useStore(queue);
  const busy = running.length + waiting.length;
  const auto = useStore(autoRun);
  const more = (event: MouseEvent<HTMLButtonElement>): void => {
    const box = event.currentTarget.getBoundingClientRect();
    const modes = Object.keys(AUTO_WORDS) as AutoMode[];
    showMenu(box.right - 260, box.bottom + 6, t("run.more", "More ways to run"), [
      ...["run.front", "run.selected", "run.cancel"].flatMap((id) => {
        const command = allCommands().find((one) => one.id === id);
        return command ? [{ label: command.title, keys: keysOf(command)[0], disabled: !isEnabled(command), run: () => runCommand(id) }] : [];
      }),
      ...modes.map((mode, at) => ({ label: AUTO_WORDS[mode](), checked: auto === mode, separated: at === 0, run: () => autoRun.set(mode) })),
    ]);
  };
  return (
    <div className="runbox">
      {auto !== "off" && (
        <button className="chip" onClick={() => autoRun.set("off")}>
          {AUTO_WORDS[auto]()} <Icon name="close" />
        </button>
      )}
      <EstimateChip tab={tab} />
      <span className="queuestate quiet small" role="status">
        {busy > 0 ? t("queue.state", "{count} in the queue", { count: busy }) : ""}
      </span>
      <Stepper className="count" label={t("run.count", "How many times")} title={t("run.count", "How many times")} min={1} max={100} value={count} set={(wanted) => batchCount.set(wanted)} />
      {running.length > 0 && (
        <button className="button icon" aria-label={t("run.cancel", "Cancel the run")} title={t("run.cancel", "Cancel the run") + keyHint("run.cancel")} onClick={() => runCommand("run.cancel")}>
          <Icon name="stop" />
        </button>
      )}
      <span className="split">
        <button className="button run" title={t("run.queue", "Run") + keyHint("run.queue")} onClick={() => runCommand("run.queue")}>
          <Icon name="play" /> {t("run", "Run")}
        </button>
        <button className="button run icon" aria-haspopup="menu" aria-label={t("run.more", "More ways to run")} title={t("run.more", "More ways to run")} onClick={more}>
          <Icon name="down" />
        </button>
      </span>
    </div>
  );
}
