import { useEffect, useMemo, useState } from "react";
import type { NodeId } from "../document/types";
import { ROOT } from "../document/types";
import { useStore } from "../client/store";
import { t } from "../i18n";
import { runCommand } from "./commands";
import { Field } from "./Field";
import { formFields, type ShownField } from "./formFields";
import { Icon, Mark } from "./icons";
import { EstimateChip } from "./memory/EstimateChip";
import { plays } from "../pictures/screens";
import { showPictures, type Shown } from "./Lightbox";
import { useDerived } from "./useDocument";
import { specs, type Tab } from "./workspace";

/** A workflow as a form: what one changes on the left, the picture on the right. */
export function FormView({ tab }: { readonly tab: Tab }) {
  const known = useStore(specs);
  const name = useStore(tab.name);
  const fields = useDerived(tab.document, () => (known ? formFields(tab.document.workflow, known) : []));
  const texts = fields.filter((one) => one.kind === "text");
  const sides = fields.filter((one) => /^(width|height)$/.test(one.input.name));
  const others = fields.filter((one) => !texts.includes(one) && !sides.includes(one));
  const field = (shown: ShownField, prominent = false) => (
    <Field key={`${shown.node.id}.${shown.input.name}`} document={tab.document} graph={ROOT} shown={shown} prominent={prominent} />
  );
  return (
    <div className="form">
      <section className="inputs" aria-label={t("form.inputs", "What to make")}>
        <div className="head">
          <h2>{titleOf(name)}</h2>
          <p className="quiet small">
            {t("form.hint", "A form over a node graph.")}{" "}
            <button className="textlink" onClick={() => tab.view.set("graph")}>
              {t("form.hint.open", "Open the graph")}
            </button>
          </p>
        </div>
        {texts.map((one, at) => field(one, at === 0))}
        {others.map((one) => field(one))}
        {sides.length > 0 && <div className="pair">{sides.map((one) => field(one))}</div>}
        {fields.length === 0 && <p className="quiet">{t("form.none", "This workflow has no inputs that can be set here.")}</p>}
        <FormRun tab={tab} />
      </section>
      <Results tab={tab} />
    </div>
  );
}

/** A file's name as a title: `text_to_image` reads “Text to image”. */
export function titleOf(name: string): string {
  const words = name.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function FormRun({ tab }: { readonly tab: Tab }) {
  const { phase } = useStore(tab.run.summary);
  const busy = phase === "running" || phase === "queued";
  return (
    <div className="runrow">
      <button className="button run" onClick={() => runCommand("run.queue")}>
        <Icon name="play" /> {t("form.run", "Make the picture")}
      </button>
      {busy && (
        <button className="button" onClick={() => runCommand("run.cancel")}>
          <Icon name="stop" /> {t("cancel", "Cancel")}
        </button>
      )}
      <span className="estimateplace">
        <EstimateChip tab={tab} />
      </span>
    </div>
  );
}

/** All pictures that this workflow made since it was opened, the newest first and large. */
function Results({ tab }: { readonly tab: Tab }) {
  const latest = useStore(tab.run.latest);
  const run = useStore(tab.run.summary);
  const [made, setMade] = useState<readonly Shown[]>([]);
  const [at, setAt] = useState(0);
  const preview = usePreview(tab, run.node);
  useEffect(() => {
    // Where the form names whose results it shows, those of others are only in the graph.
    const outputs = tab.document.workflow.form.filter((field) => field.input === null).map((field) => field.node);
    const fresh = outputs.length === 0 ? latest : latest.filter((one) => outputs.includes(one.node));
    if (fresh.length === 0) return;
    setMade((before) => [...fresh, ...before.filter((one) => !fresh.some((made) => made.url === one.url))].slice(0, 60));
    setAt(0);
  }, [latest, tab]);
  const shown = made[at];
  const running = run.phase === "running" && preview !== undefined;
  return (
    <section className="outputs" aria-label={t("form.outputs", "Pictures")}>
      <div className="stage">
        {run.phase === "failed" && (
          <div className="problem" role="alert">
            <p>{t("form.failed", "The run failed")}</p>
            <p className="quiet">{run.message}</p>
          </div>
        )}
        {run.phase !== "failed" && running && <img src={preview} alt={t("form.preview", "The picture as it comes out")} />}
        {run.phase !== "failed" && !running && shown && (
          <button className="picture" aria-label={t("picture.enlarge", "Enlarge {name}", { name: shown.name })} onClick={() => showPictures(made, at)}>
            {plays(shown.name) ? <video src={shown.url} aria-label={shown.name} autoPlay loop muted playsInline /> : <img src={shown.url} alt={shown.name} />}
          </button>
        )}
        {run.phase !== "failed" && !running && !shown && (
          <div className="wait" data-busy={run.phase === "running" || run.phase === "queued" || undefined}>
            <Mark />
            <p>{run.phase === "running" || run.phase === "queued" ? t("form.developing", "Developing…") : t("form.empty", "Your picture appears here")}</p>
            {run.phase === "idle" && <p className="small">{t("form.empty.hint", "Say what you want to see, then press “Make the picture”. Or drop a picture or a workflow file anywhere.")}</p>}
          </div>
        )}
      </div>
      {made.length > 1 && (
        <div className="strip" role="group" aria-label={t("form.earlier", "Earlier pictures")}>
          {made.map((one, index) => (
            <button key={one.url} aria-pressed={index === at} aria-label={one.name} onClick={() => setAt(index)}>
              {plays(one.name) ? <video src={`${one.url}#t=0.01`} muted preload="metadata" /> : <img src={`${one.url}&preview=webp;80`} alt="" loading="lazy" />}
            </button>
          ))}
        </div>
      )}
    </section>
  );
}

/** The address of the running node's live picture. */
function usePreview(tab: Tab, node: NodeId | undefined): string | undefined {
  const [blob, setBlob] = useState<Blob>();
  useEffect(() => {
    setBlob(undefined);
    if (node === undefined) return undefined;
    const look = (): void => {
      const found = tab.run.node(node)?.preview;
      if (found instanceof Blob) setBlob(found);
    };
    return tab.run.view("").subscribeNode(node, look);
  }, [tab, node]);
  const url = useMemo(() => blob && URL.createObjectURL(blob), [blob]);
  useEffect(() => () => void (url && URL.revokeObjectURL(url)), [url]);
  return url;
}
