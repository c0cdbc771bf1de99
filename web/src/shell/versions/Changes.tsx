import { ROOT, type Workflow } from "../../document/types";
import { t } from "../../i18n";
import { Icon } from "../icons";
import { isSame, type ChangeKind, type Differences, type NodeChange } from "./diff";

const ORDER: readonly ChangeKind[] = ["changed", "added", "removed", "moved"];

interface ChangesProps {
  readonly found: Differences;
  readonly workflow: Workflow;
  readonly show: (change: NodeChange) => void;
  /** Takes a change, or one value of it, into the workflow that is open; left out where neither side is that. */
  readonly take?: ((change: NodeChange, name?: string) => void) | undefined;
  /** Which of the two sides is taken from. */
  readonly from: "before" | "after";
}

/** What is different, node by node; each change can be taken over by itself. */
export function Changes({ found, workflow, show, take, from }: ChangesProps) {
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
                {take && <Take name={one.title} words={wordsOf(kind, from)} take={() => take(one)} />}
                {one.values.length > 0 && (
                  <dl>
                    {one.values.map((value) => (
                      <div key={value.name}>
                        <dt>
                          {value.name.replaceAll("_", " ")}
                          {take && one.values.length > 1 && <Take name={`${one.title}, ${value.name}`} words={t("versions.take.value", "Take this value")} take={() => take(one, value.name)} />}
                        </dt>
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

function Take({ name, words, take }: { readonly name: string; readonly words: string; readonly take: () => void }) {
  return (
    <button className="button bare tiny take" aria-label={`${words}: ${name}`} title={words} onClick={take}>
      <Icon name="undo" />
    </button>
  );
}

/** What taking a change from the other side does to the workflow that is open. */
function wordsOf(kind: ChangeKind, from: "before" | "after"): string {
  const came = from === "before" ? "removed" : "added";
  if (kind === came) return t("versions.take.node", "Bring this node in");
  if (kind === "added" || kind === "removed") return t("versions.take.out", "Take this node out");
  return t("versions.take", "Take this from the other version");
}
