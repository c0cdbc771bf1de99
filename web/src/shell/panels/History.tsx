import { useEffect, useState } from "react";
import { useStore } from "../../client/store";
import { versionsOf, type Version } from "../../client/versions";
import { t } from "../../i18n";
import { runCommand } from "../commands";
import { Segments } from "../controls/Segments";
import { Icon } from "../icons";
import { savedAt } from "../keeping";
import { PanelWait } from "../Rail";
import { sayError } from "../toasts";
import { useRevision } from "../useDocument";
import { takeVersion } from "../versions/compare";
import { compared } from "../versions/compared";
import { whenText } from "../versions/times";
import { active, type Tab } from "../workspace";

type Shown = "steps" | "versions";

/** Steps since the workflow was opened, and the versions of its file on the server. */
export default function History() {
  const tab = useStore(active);
  const [shown, setShown] = useState<Shown>("steps");
  const kinds: readonly (readonly [Shown, string])[] = [
    ["steps", t("history.steps", "Steps")],
    ["versions", t("history.versions", "Versions")],
  ];
  return (
    <>
      <div className="tools">
        <Segments label={t("panel.history", "History")} value={shown} choices={kinds} set={setShown} />
      </div>
      <div className="body">{tab && (shown === "steps" ? <Steps tab={tab} /> : <Versions key={tab.key} tab={tab} />)}</div>
    </>
  );
}

const MOST = 300;

/** A press goes back to a step, or forward. */
function Steps({ tab }: { readonly tab: Tab }) {
  useRevision(tab.document);
  const { history, position } = tab.document;
  const first = Math.max(0, history.length - MOST);
  const entry = (at: number, label: string) => (
    <li key={at}>
      <button className="entry" aria-current={at === position ? "step" : undefined} onClick={() => tab.document.goTo(at)}>
        <span className={`label ${at > position ? "past" : ""}`}>{label}</span>
      </button>
    </li>
  );
  return (
    <ol className="list">
      {history
        .slice(first)
        .map((step, at) => entry(first + at + 1, step.label))
        .reverse()}
      {entry(0, t("history.opened", "As it was opened"))}
    </ol>
  );
}

function Versions({ tab }: { readonly tab: Tab }) {
  const path = useStore(tab.path);
  const at = useStore(savedAt);
  const [versions, setVersions] = useState<readonly Version[]>();
  useEffect(() => {
    if (path !== null) versionsOf(path).then(setVersions, () => setVersions([]));
  }, [path, at]);
  if (path === null)
    return (
      <div className="empty">
        <Icon name="versions" />
        <p>{t("versions.nofile", "Once a workflow is saved, each save is kept as a version here.")}</p>
        <button className="button" onClick={() => runCommand("workflow.saveAs")}>
          {t("save.as", "Save as…")}
        </button>
      </div>
    );
  if (versions === undefined) return <PanelWait />;
  const kinds: Readonly<Record<Version["kind"], string>> = {
    save: t("version.save", "Saved"),
    autosave: t("version.draft", "Draft"),
    restore: t("version.brought", "Restored"),
    found: t("version.found", "Changed outside of the editor"),
  };
  return (
    <ol className="list" aria-label={t("history.versions", "Versions")}>
      {versions.map((one, index) => (
        <li key={one.id} className="entry tall">
          <button className="open" onClick={() => compared.set({ tab, before: { version: one.id }, after: "here" })}>
            <b>{whenText(one.saved)}</b>
            <span className="facts">{index === 0 ? t("version.newest", "{kind}, the newest", { kind: kinds[one.kind] }) : kinds[one.kind]}</span>
          </button>
          <button className="button tiny" onClick={() => void takeVersion(tab, { version: one.id }).catch(sayError)}>
            {t("version.restore.short", "Restore")}
          </button>
        </li>
      ))}
      {versions.length === 0 && <p className="empty">{t("versions.none", "No versions yet.")}</p>}
    </ol>
  );
}
