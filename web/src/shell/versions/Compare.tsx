import "../../styles/versions.css";
import { useEffect, useMemo, useRef, useState } from "react";
import { GraphView, type CameraHandle } from "../../canvas/GraphView";
import { NO_RUN } from "../../canvas/runView";
import { createSelection } from "../../canvas/selection";
import { versionsOf, type Version } from "../../client/versions";
import { useStore } from "../../client/store";
import { createDocument } from "../../document/store";
import { ROOT, type GraphId, type Workflow } from "../../document/types";
import { t } from "../../i18n";
import { Select } from "../controls/Select";
import { Icon } from "../icons";
import { save } from "../keeping";
import { sayError } from "../toasts";
import { specs } from "../workspace";
import { takeVersion, workflowOf } from "./compare";
import { compared, type Compared, type Side } from "./compared";
import { both, differences, isSame, type ChangeKind, type Differences, type NodeChange } from "./diff";
import { whenText } from "./times";

const nothing = (): void => undefined;
const close = (): void => compared.set(undefined);

/** Two versions of a workflow over each other: what came, went, changed and moved, on the graph and as a list. */
export default function Compare({ tab, before, after, conflict }: Compared) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [versions, setVersions] = useState<readonly Version[]>([]);
  const [sides, setSides] = useState<readonly [Workflow, Workflow]>();
  const path = useStore(tab.path);
  useEffect(() => {
    dialog.current?.showModal();
    if (path !== null) versionsOf(path).then(setVersions, () => undefined);
  }, [path]);
  useEffect(() => {
    let gone = false;
    setSides(undefined);
    Promise.all([workflowOf(tab, before), workflowOf(tab, after)]).then((both) => !gone && setSides(both), sayError);
    return () => {
      gone = true;
    };
  }, [tab, before, after]);
  const options = [
    { value: "here", label: t("version.here", "As it is open here") },
    { value: "file", label: t("version.file", "The file on the server") },
    ...versions.map((one) => ({ value: one.id, label: whenText(one.saved) })),
  ];
  const pick = (which: "before" | "after", label: string, side: Side) => (
    <Select label={label} value={typeof side === "string" ? side : side.version} options={options} set={(value) => compared.set({ tab, before, after, [which]: value === "here" || value === "file" ? value : { version: value } })} />
  );
  const restore = (side: Side): void => {
    close();
    takeVersion(tab, side).catch(sayError);
  };
  const keepMine = (): void => {
    close();
    save(tab, tab.path.get(), true).catch(sayError);
  };
  return (
    <dialog ref={dialog} className="versus" aria-label={t("versions.compare", "Compare versions")} onClose={close} onKeyDown={(event) => event.stopPropagation()}>
      <header>
        <h2>{conflict ? t("versions.elsewhere", "Changed elsewhere") : t("versions.compare", "Compare versions")}</h2>
        <span className="pick">{pick("before", t("versions.before", "Earlier"), before)}</span>
        <span aria-hidden="true">→</span>
        <span className="pick">{pick("after", t("versions.after", "Later"), after)}</span>
        <span className="grow" />
        {conflict ? (
          <>
            <button className="button" onClick={() => restore("file")}>{t("versions.theirs", "Take the file’s")}</button>
            <button className="button" onClick={keepMine}>{t("save.over", "Save mine")}</button>
          </>
        ) : (
          before !== "here" && <button className="button" onClick={() => restore(before)}><Icon name="history" /> {t("version.restore", "Restore the earlier one")}</button>
        )}
        <button className="button bare icon" aria-label={t("close", "Close")} onClick={close}><Icon name="close" /></button>
      </header>
      {sides ? <Both before={sides[0]} after={sides[1]} /> : <div className="skeleton" aria-busy="true" />}
    </dialog>
  );
}

function Both({ before, after }: { readonly before: Workflow; readonly after: Workflow }) {
  const known = useStore(specs) ?? new Map();
  const found = useMemo(() => differences(before, after, known), [before, after, known]);
  const document = useMemo(() => createDocument(both(before, after, found)), [before, after, found]);
  const selection = useMemo(createSelection, [document]);
  const camera = useRef<CameraHandle>(null);
  const [graph, setGraph] = useState<GraphId>(found.nodes[0]?.graph ?? ROOT);
  const here = document.workflow.graphs.has(graph) ? graph : ROOT;
  const show = (change: NodeChange): void => {
    setGraph(change.graph);
    // A graph that was not on screen is there in the next frame.
    requestAnimationFrame(() => camera.current?.centerOn(change.id));
  };
  return (
    <div className="sides">
      <Changes found={found} workflow={document.workflow} show={show} />
      <GraphView key={here} ref={camera} document={document} graphId={here} specs={known} run={NO_RUN} selection={selection} readOnly onOpenSubgraph={setGraph} onOpenSearch={nothing} onContextMenu={nothing} onOpenImage={nothing} onFix={nothing} />
    </div>
  );
}

const ORDER: readonly ChangeKind[] = ["changed", "added", "removed", "moved"];

function Changes({ found, workflow, show }: { readonly found: Differences; readonly workflow: Workflow; readonly show: (change: NodeChange) => void }) {
  const words: Readonly<Record<ChangeKind, string>> = {
    changed: t("change.changed", "Changed"),
    added: t("change.added", "Added"),
    removed: t("change.removed", "Removed"),
    moved: t("change.moved", "Moved or coloured"),
  };
  return (
    <section className="changes" aria-label={t("versions.changes", "What is different")}>
      {isSame(found) && <p className="empty">{t("versions.same", "The two are the same.")}</p>}
      {ORDER.map((kind) => {
        const all = found.nodes.filter((one) => one.kind === kind);
        if (all.length === 0) return null;
        return (
          <div key={kind}>
            <h3 className="section" data-kind={kind}>{words[kind]} <span className="count">{all.length}</span></h3>
            {all.map((one) => (
              <div key={`${one.graph}/${one.id}`} className="change">
                <button className="entry" onClick={() => show(one)}>
                  <span className="label">{one.title}</span>
                  {one.graph !== ROOT && <span className="facts">{workflow.graphs.get(one.graph)?.name}</span>}
                </button>
                {one.values.length > 0 && (
                  <dl>
                    {one.values.map((value) => (
                      <div key={value.name}>
                        <dt>{value.name.replaceAll("_", " ")}</dt>
                        <dd>
                          <del>{value.before ?? t("versions.nothing", "nothing")}</del>
                          <ins>{value.after ?? t("versions.nothing", "nothing")}</ins>
                        </dd>
                      </div>
                    ))}
                  </dl>
                )}
              </div>
            ))}
          </div>
        );
      })}
      {found.groups && <p className="small quiet section">{t("versions.groups", "Groups are different.")}</p>}
      {found.form && <p className="small quiet section">{t("versions.form", "The form is different.")}</p>}
    </section>
  );
}
