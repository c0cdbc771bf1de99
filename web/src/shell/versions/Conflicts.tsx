import { useState } from "react";
import type { GraphNode, Link, Workflow } from "../../document/types";
import { t } from "../../i18n";
import { Segments } from "../controls/Segments";
import { specs } from "../workspace";
import type { Atom, Key } from "./atoms";
import type { Conflict, Merge } from "./merge";

interface Props {
  readonly made: Merge;
  readonly workflow: Workflow;
  readonly finish: (made: Merge, theirs: ReadonlySet<Key>) => void;
  readonly cancel: () => void;
}

/** What both versions changed, each in its own way: one of the two is chosen for each, then both are merged. */
export function Conflicts({ made, workflow, finish, cancel }: Props) {
  const [theirs, setTheirs] = useState<ReadonlySet<Key>>(new Set());
  const choose = (key: Key, side: "mine" | "theirs"): void => {
    const next = new Set(theirs);
    if (side === "theirs") next.add(key);
    else next.delete(key);
    setTheirs(next);
  };
  return (
    <section className="changes conflicts" aria-label={t("versions.conflicts", "Changed in both")}>
      <p className="quiet">
        {t("versions.conflicts.told", "{mine} changes are only here, {theirs} only in the file; these are in both. Which one holds?", { mine: made.fromMine, theirs: made.fromTheirs })}
      </p>
      {made.conflicts.map((one) => (
        <div key={one.key} className="conflict" role="group" aria-label={nameOf(one, workflow)}>
          <h3>{nameOf(one, workflow)}</h3>
          <p data-on={!theirs.has(one.key) || undefined}>{said(one.mine, workflow)}</p>
          <p data-on={theirs.has(one.key) || undefined}>{said(one.theirs, workflow)}</p>
          <Segments
            wide
            label={nameOf(one, workflow)}
            value={theirs.has(one.key) ? "theirs" : "mine"}
            choices={[["mine", t("versions.mine.short", "Mine")], ["theirs", t("versions.theirs.short", "The file’s")]]}
            set={(side) => choose(one.key, side)}
          />
        </div>
      ))}
      <div className="row">
        <button className="button primary" onClick={() => finish(made, theirs)}>{t("versions.merge", "Merge both")}</button>
        <button className="button bare" onClick={cancel}>{t("cancel", "Cancel")}</button>
      </div>
    </section>
  );
}

function titleOf(node: GraphNode | undefined, fallback: string): string {
  return node === undefined ? fallback : (node.title ?? specs.get()?.get(node.type)?.title ?? node.type);
}

function nameOf(one: Conflict, workflow: Workflow): string {
  if (one.kind === "form") return t("versions.form.name", "The form");
  if (one.kind === "graph") return t("versions.graph.name", "Subgraph {name}", { name: workflow.graphs.get(one.graph)?.name ?? one.graph });
  if (one.kind === "group") return t("versions.group.name", "Group {name}", { name: workflow.graphs.get(one.graph)?.groups.get(one.id)?.title ?? one.id });
  const node = workflow.graphs.get(one.graph)?.nodes.get(one.id) ?? ((one.mine ?? one.theirs)?.kind === "node" ? ((one.mine ?? one.theirs)!.holds as GraphNode) : undefined);
  const title = titleOf(node, one.id);
  return one.kind === "node" || one.name === "" ? title : `${title} · ${one.name.replaceAll("_", " ")}`;
}

function said(atom: Atom | undefined, workflow: Workflow): string {
  if (atom === undefined) return t("versions.gone", "taken away");
  if (atom.kind === "link") {
    const link = atom.holds as Link;
    return `← ${titleOf(workflow.graphs.get(atom.graph)?.nodes.get(link.from), link.from)}`;
  }
  if (atom.kind === "node") return t("versions.kept", "kept, with its changes");
  if (atom.kind === "value") return typeof atom.holds === "string" ? atom.holds : atom.text;
  if (atom.kind === "field") return Object.values(atom.holds as object).map(String).join(", ");
  return t("versions.changed.so", "changed");
}
