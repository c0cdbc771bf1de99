import { useId, useState } from "react";
import { upload } from "../client/files";
import { t } from "../i18n";
import type { Document, GraphId, InputSpec, Json } from "../document/types";
import { controlName } from "../document/widgets";
import type { ShownField } from "./formFields";
import { Icon } from "./icons";
import { sayError } from "./toasts";
import { useNode } from "./useDocument";

interface Props {
  readonly document: Document;
  readonly graph: GraphId;
  readonly shown: ShownField;
  readonly prominent?: boolean;
}

/** One input of a node as a labelled field; writes to the document and nowhere else. */
export function Field({ document, graph, shown, prominent }: Props) {
  const { input, kind, label } = shown;
  const id = useId();
  const node = useNode(document, graph, shown.node.id);
  const value = node?.values[input.name] ?? input.default ?? null;
  const set = (next: Json): void => {
    document.apply({ do: "setValue", graph, id: shown.node.id, input: input.name, value: next }, t("step.set", "Set {name}", { name: label }));
  };
  return (
    <div className="fieldrow">
      {kind !== "switch" && <label htmlFor={id}>{label}</label>}
      {kind === "text" && <textarea id={id} className={`field ${prominent ? "tall" : ""}`} value={String(value ?? "")} onChange={(event) => set(event.target.value)} spellCheck={false} />}
      {kind === "line" && <input id={id} className="field" value={String(value ?? "")} onChange={(event) => set(event.target.value)} />}
      {kind === "number" && <NumberField id={id} input={input} value={Number(value)} set={set} />}
      {kind === "seed" && <SeedField id={id} document={document} graph={graph} shown={shown} value={Number(value)} set={set} />}
      {kind === "choice" && <Choice id={id} input={input} value={value} set={set} />}
      {kind === "picture" && <Picture id={id} input={input} value={value} set={set} />}
      {kind === "switch" && (
        <label className="row" htmlFor={id}>
          <span className="grow">{label}</span>
          <input id={id} type="checkbox" checked={value === true} onChange={(event) => set(event.target.checked)} />
        </label>
      )}
    </div>
  );
}

function NumberField({ id, input, value, set }: { readonly id: string; readonly input: InputSpec; readonly value: number; readonly set: (value: Json) => void }) {
  const most = input.name === "steps" ? 60 : input.name === "cfg" ? 20 : input.max;
  const slides = most !== undefined && input.min !== undefined && most - input.min <= 4096 && !/width|height/.test(input.name);
  const [draft, setDraft] = useState<string>();
  const within = (number: number): number => Math.max(input.min ?? -Infinity, Math.min(input.max ?? Infinity, number));
  const take = (text: string): void => {
    const number = input.type === "INT" ? Math.round(Number(text)) : Number(text);
    setDraft(text);
    // What is out of range may be the beginning of what is meant: 1, 12, 128.
    if (text !== "" && Number.isFinite(number) && within(number) === number) set(number);
  };
  const leave = (): void => {
    if (draft !== undefined && draft !== "" && Number.isFinite(Number(draft)) && within(Number(draft)) !== Number(draft)) set(within(Number(draft)));
    setDraft(undefined);
  };
  return (
    <div className="row">
      {slides && (
        <input type="range" aria-label={input.name} min={input.min} max={most} step={input.step ?? 1} value={Math.min(value, most)} onChange={(event) => take(event.target.value)} onBlur={leave} />
      )}
      <input id={id} className="field number" style={slides ? { width: 84 } : undefined} type="number" min={input.min} max={input.max} step={input.step ?? (input.type === "INT" ? 1 : 0.1)} value={draft ?? value} onChange={(event) => take(event.target.value)} onBlur={leave} />
    </div>
  );
}

function SeedField({ id, document, graph, shown, value, set }: Props & { readonly id: string; readonly value: number; readonly set: (value: Json) => void }) {
  const node = useNode(document, graph, shown.node.id);
  const name = controlName(shown.input.name);
  const moves = (node?.values[name] ?? "fixed") === "randomize";
  const control = (checked: boolean): void => {
    const next = checked ? "randomize" : "fixed";
    document.apply({ do: "setValue", graph, id: shown.node.id, input: name, value: next }, t("step.control", "Seed after a run"));
  };
  return (
    <>
      <div className="row">
        <input id={id} className="field" type="number" min={0} value={value} onChange={(event) => event.target.value !== "" && set(Math.max(0, Math.round(Number(event.target.value))))} />
        <button className="button icon" aria-label={t("seed.new", "Another seed")} title={t("seed.new", "Another seed")} onClick={() => set(Math.floor(Math.random() * 2 ** 48))}>
          <Icon name="dice" />
        </button>
      </div>
      <label className="row small quiet">
        <input type="checkbox" checked={moves} onChange={(event) => control(event.target.checked)} />
        {t("seed.moves", "A new one after each run")}
      </label>
    </>
  );
}

function Choice({ id, input, value, set }: { readonly id: string; readonly input: InputSpec; readonly value: Json; readonly set: (value: Json) => void }) {
  const choices = input.choices ?? [];
  const known = choices.some((one) => one === value);
  return (
    <select id={id} className="field" value={String(value)} onChange={(event) => set(choices.find((one) => String(one) === event.target.value) ?? event.target.value)}>
      {!known && <option value={String(value)}>{t("choice.missing", "{name} (not here)", { name: String(value) })}</option>}
      {choices.map((one) => (
        <option key={String(one)} value={String(one)}>
          {String(one).replace(/\.(safetensors|ckpt|pt|pth)$/, "")}
        </option>
      ))}
    </select>
  );
}

function Picture({ id, input, value, set }: { readonly id: string; readonly input: InputSpec; readonly value: Json; readonly set: (value: Json) => void }) {
  const take = (files: FileList | null): void => {
    const file = files?.[0];
    if (file) upload(file).then((stored) => set(stored.subfolder ? `${stored.subfolder}/${stored.name}` : stored.name), sayError);
  };
  return (
    <>
      <div className="row">
        <Choice id={id} input={input} value={value} set={set} />
        <label className="button">
          {t("picture.choose", "Choose…")}
          <input className="hidden-label" type="file" accept="image/*" onChange={(event) => take(event.target.files)} />
        </label>
      </div>
      {typeof value === "string" && value !== "" && (
        <img className="chosen" alt="" src={`/view?${new URLSearchParams({ filename: value, type: "input", preview: "webp;80" })}`} />
      )}
    </>
  );
}
