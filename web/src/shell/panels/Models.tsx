import { useEffect, useMemo, useState } from "react";
import { ask } from "../../client/http";
import { useStore } from "../../client/store";
import { t } from "../../i18n";
import { addNode } from "../adding";
import { PanelWait } from "../Rail";
import { sayError } from "../toasts";
import { useRevision } from "../useDocument";
import { active, specs, type Tab } from "../workspace";

interface ModelFile {
  readonly name: string;
  readonly size: number;
}
/** The node that loads a kind of model, and its input with the file's name. */
const LOADERS: Readonly<Record<string, readonly [string, string]>> = {
  checkpoints: ["CheckpointLoaderSimple", "ckpt_name"],
  loras: ["LoraLoader", "lora_name"],
  vae: ["VAELoader", "vae_name"],
  controlnet: ["ControlNetLoader", "control_net_name"],
  upscale_models: ["UpscaleModelLoader", "model_name"],
  clip_vision: ["CLIPVisionLoader", "clip_name"],
  style_models: ["StyleModelLoader", "style_model_name"],
  hypernetworks: ["HypernetworkLoader", "hypernetwork_name"],
  diffusion_models: ["UNETLoader", "unet_name"],
  text_encoders: ["CLIPLoader", "clip_name"],
};

async function allModels(): Promise<ReadonlyMap<string, readonly ModelFile[]>> {
  const kinds = await ask<readonly { name: string }[]>("GET /experiment/models");
  const lists = await Promise.all(kinds.map(({ name }) => ask<readonly ModelFile[]>("GET /experiment/models/{folder}", { path: { folder: name } })));
  return new Map(kinds.map(({ name }, at) => [name, lists[at] ?? []] as const).filter(([, files]) => files.length > 0));
}

export default function Models() {
  const [models, setModels] = useState<ReadonlyMap<string, readonly ModelFile[]>>();
  const [text, setText] = useState("");
  const tab = useStore(active);
  const known = useStore(specs);
  useEffect(() => {
    allModels().then(setModels, sayError);
  }, [known]);
  const query = text.trim().toLowerCase();
  return (
    <>
      <div className="tools">
        <input className="field" type="search" aria-label={t("models.search", "Search models")} placeholder={t("models.search", "Search models")} value={text} onChange={(event) => setText(event.target.value)} />
      </div>
      <div className="body">
        {models === undefined && <PanelWait />}
        {models?.size === 0 && <p className="empty">{t("models.none", "Put model files into models/ and press R.")}</p>}
        {[...(models ?? [])].map(([kind, files]) => (
          <Kind key={kind} kind={kind} files={files.filter((file) => file.name.toLowerCase().includes(query))} tab={tab} />
        ))}
      </div>
    </>
  );
}

function Kind({ kind, files, tab }: { readonly kind: string; readonly files: readonly ModelFile[]; readonly tab: Tab | undefined }) {
  if (files.length === 0) return null;
  return (
    <>
      <h3 className="section">{kind.replaceAll("_", " ")}</h3>
      {files.map((file) => (
        <div key={file.name} className="entry">
          <button className="open" title={file.name} disabled={!LOADERS[kind]} onClick={() => load(kind, file.name)}>
            {file.name}
          </button>
          {tab && <Used tab={tab} name={file.name} />}
          <span className="quiet small">{sizeText(file.size)}</span>
        </div>
      ))}
    </>
  );
}

function load(kind: string, name: string): void {
  const loader = LOADERS[kind];
  if (loader === undefined) return;
  active.get()?.view.set("graph");
  addNode(loader[0], undefined, undefined, { [loader[1]]: name });
}

function Used({ tab, name }: { readonly tab: Tab; readonly name: string }) {
  const revision = useRevision(tab.document);
  const used = useMemo(
    () => [...tab.document.workflow.graphs.values()].some((graph) => [...graph.nodes.values()].some((node) => Object.values(node.values).includes(name))),
    [tab, revision, name],
  );
  return used ? <span className="small">{t("models.used", "in use")}</span> : null;
}

function sizeText(bytes: number): string {
  return bytes > 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.max(1, Math.round(bytes / 1e6))} MB`;
}
