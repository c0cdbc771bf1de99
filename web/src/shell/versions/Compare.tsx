import "../../styles/versions.css";
import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";
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
import { say, sayError } from "../toasts";
import { useRevision } from "../useDocument";
import { specs } from "../workspace";
import { Changes } from "./Changes";
import { asFile, takeMerged, takeVersion, workflowOf } from "./compare";
import { compared, type Compared, type Side } from "./compared";
import { Conflicts } from "./Conflicts";
import { both, differences, type NodeChange } from "./diff";
import { merge, ofInput, ofNode, taking, type Merge } from "./merge";
import { whenText } from "./times";

const nothing = (): void => undefined;
const close = (): void => compared.set(undefined);

/** Two versions of a workflow over each other: what came, went, changed and moved, on the graph and as a list. */
export default function Compare({ tab, before, after, conflict, base }: Compared) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [versions, setVersions] = useState<readonly Version[]>([]);
  const [sides, setSides] = useState<readonly [Workflow, Workflow]>();
  const path = useStore(tab.path);
  const revision = useRevision(tab.document);
  const [merging, setMerging] = useState<Merge>();
  useEffect(() => {
    dialog.current?.showModal();
    if (path !== null) versionsOf(path).then(setVersions, () => undefined);
  }, [path]);
  useEffect(() => {
    let gone = false;
    Promise.all([workflowOf(tab, before), workflowOf(tab, after)]).then((both) => !gone && setSides(both), sayError);
    return () => {
      gone = true;
    };
  }, [tab, before, after, revision]);
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
  const finish = (made: Merge, theirs: ReadonlySet<string>): void => {
    close();
    takeMerged(tab, made.finish(theirs), t("step.merge", "Merge both versions"), true).then(() => say(t("versions.merged", "Both are merged: {count} changes came from the file; undo returns to what was here", { count: made.fromTheirs })), sayError);
  };
  const mergeBoth = (): void => {
    if (base === undefined || sides === undefined) return;
    // As files all three: what a file leaves out or spells otherwise is nobody's change.
    Promise.all([asFile(base), asFile(tab.document.workflow)]).then(([was, mine]) => {
      const made = merge(was, mine, sides[0]);
      if (made.conflicts.length === 0) finish(made, new Set());
      else setMerging(made);
    }).catch(sayError);
  };
  const take = (change: NodeChange, name?: string): void => {
    const other = sides?.[before === "here" ? 1 : 0];
    if (other === undefined) return;
    const id = change.id.replace(/·before$/, "");
    const wanted = name !== undefined ? ofInput(change.graph, id, name) : ofNode(change.graph, id, change.kind === "added" || change.kind === "removed");
    takeMerged(tab, taking(tab.document.workflow, other, wanted), t("step.take", "Take a change of {name}", { name: change.title })).catch(sayError);
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
            {base && !merging && <button className="button primary" disabled={!sides} onClick={mergeBoth}>{t("versions.merge", "Merge both")}</button>}
            <button className="button" onClick={() => restore("file")}>{t("versions.theirs", "Take the file’s")}</button>
            <button className="button" onClick={keepMine}>{t("save.over", "Save mine")}</button>
          </>
        ) : (
          before !== "here" && <button className="button" onClick={() => restore(before)}><Icon name="history" /> {t("version.restore", "Restore the earlier one")}</button>
        )}
        <button className="button bare icon" aria-label={t("close", "Close")} onClick={close}><Icon name="close" /></button>
      </header>
      {sides ? <Both before={sides[0]} after={sides[1]} take={before === "here" || after === "here" ? take : undefined} from={before === "here" ? "after" : "before"} side={merging && <Conflicts made={merging} workflow={tab.document.workflow} finish={finish} cancel={() => setMerging(undefined)} />} /> : <div className="skeleton" aria-busy="true" />}
    </dialog>
  );
}

interface BothProps {
  readonly before: Workflow;
  readonly after: Workflow;
  readonly take: ((change: NodeChange, name?: string) => void) | undefined;
  readonly from: "before" | "after";
  /** Stands in the place of the list of changes. */
  readonly side: ReactNode;
}

function Both({ before, after, take, from, side }: BothProps) {
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
      {side ?? <Changes found={found} workflow={document.workflow} show={show} take={take} from={from} />}
      <GraphView key={here} ref={camera} document={document} graphId={here} specs={known} run={NO_RUN} selection={selection} readOnly onOpenSubgraph={setGraph} onOpenSearch={nothing} onContextMenu={nothing} onOpenImage={nothing} onFix={nothing} />
    </div>
  );
}
