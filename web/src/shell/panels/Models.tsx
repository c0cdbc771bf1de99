import { useEffect, useMemo, useState } from "react";
import { loadAllModels, models, previewAddress, type ModelFile } from "../../client/models";
import { useStore } from "../../client/store";
import { t } from "../../i18n";
import { addNode } from "../adding";
import { Segments } from "../controls/Segments";
import { Icon } from "../icons";
import { LOADERS } from "../loaders";
import { PanelWait } from "../Rail";
import { sayError } from "../toasts";
import { useDerived } from "../useDocument";
import { active, type Tab } from "../workspace";

type Which = "all" | "used";

/** All model files by kind, or those that the graph uses; a press or a drag makes the node that loads one. */
export default function Models() {
  const all = useStore(models);
  const tab = useStore(active);
  const [loaded, setLoaded] = useState(false);
  const [text, setText] = useState("");
  const [which, setWhich] = useState<Which>("all");
  useEffect(() => {
    loadAllModels().then(() => setLoaded(true), sayError);
  }, []);
  const words = text.trim().toLowerCase().split(/\s+/);
  const filled = useMemo(() => [...all].filter(([, files]) => files.length > 0), [all]);
  const choices: readonly (readonly [Which, string])[] = [
    ["all", t("models.all", "All")],
    ["used", t("models.used.only", "Used by this graph")],
  ];
  return (
    <>
      <div className="tools">
        <input className="field" type="search" aria-label={t("models.search", "Search models")} placeholder={t("models.search", "Search models")} value={text} onChange={(event) => setText(event.target.value)} />
        {tab && <Segments label={t("models.which", "Which models")} value={which} choices={choices} set={setWhich} />}
      </div>
      <div className="body">
        {!loaded && filled.length === 0 && <PanelWait />}
        {loaded && filled.length === 0 && (
          <div className="empty">
            <Icon name="models" />
            <p>{t("models.none", "Put model files into models/ and press R.")}</p>
          </div>
        )}
        {filled.map(([kind, files]) => (
          <Kind key={kind} kind={kind} files={files.filter((file) => words.every((word) => file.name.toLowerCase().includes(word)))} tab={tab} which={tab ? which : "all"} />
        ))}
      </div>
    </>
  );
}

interface KindProps {
  readonly kind: string;
  readonly files: readonly ModelFile[];
  readonly tab: Tab | undefined;
  readonly which: Which;
}

function Kind(props: KindProps) {
  return props.tab ? <KindWithUse {...props} tab={props.tab} /> : <List {...props} used={new Set()} />;
}

function KindWithUse(props: KindProps & { readonly tab: Tab }) {
  const used = useDerived(props.tab.document, () => new Set([...props.tab.document.workflow.graphs.values()].flatMap((graph) => [...graph.nodes.values()].flatMap((node) => Object.values(node.values)))));
  return <List {...props} used={used} />;
}

function List({ kind, files, which, used }: KindProps & { readonly used: ReadonlySet<unknown> }) {
  const shown = which === "used" ? files.filter((file) => used.has(file.name)) : files;
  if (shown.length === 0) return null;
  const loader = LOADERS[kind];
  return (
    <>
      <h3 className="section">{kind.replaceAll("_", " ")}</h3>
      {shown.map((file) => {
        const [name, folder] = [file.name.replace(/^.*\//, "").replace(/\.[^.]+$/, ""), file.name.includes("/") ? file.name.replace(/\/[^/]*$/, "") : ""];
        const node = loader && { type: loader[0], values: { [loader[1]]: file.name } };
        return (
          <div key={file.name} className="entry tall" draggable={node !== undefined} onDragStart={(event) => node && event.dataTransfer.setData("application/x-safelight-node", JSON.stringify(node))}>
            <span className="thumb">{file.preview ? <img src={previewAddress(kind, file)} alt="" loading="lazy" decoding="async" /> : <Icon name="models" />}</span>
            <button className="open" title={node ? t("models.load", "Add a node that loads {name}", { name: file.name }) : file.name} disabled={node === undefined} onClick={() => node && load(node.type, node.values)}>
              <b>{name}</b>
              <span className="facts">{[sizeText(file.size), folder].filter(Boolean).join(" · ")}</span>
            </button>
            {used.has(file.name) && <span className="tagged">{t("models.used", "in use")}</span>}
          </div>
        );
      })}
    </>
  );
}

function load(type: string, values: Readonly<Record<string, string>>): void {
  active.get()?.view.set("graph");
  addNode(type, undefined, undefined, values);
}

function sizeText(bytes: number): string {
  return bytes > 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.max(1, Math.round(bytes / 1e6))} MB`;
}
