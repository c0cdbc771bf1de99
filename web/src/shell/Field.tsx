import { useId } from "react";
import { t } from "../i18n";
import type { Document, GraphId, InputSpec, Json } from "../document/types";
import { controlName } from "../document/widgets";
import { Select } from "./controls/Select";
import { Slider } from "./controls/Slider";
import { Stepper } from "./controls/Stepper";
import { Switch } from "./controls/Switch";
import type { ShownField } from "./formFields";
import { PictureTools } from "../pictures/PictureTools";
import { chooseFile } from "../pictures/screens";
import { Icon } from "./icons";
import { inputPicture, thumbnailOf } from "./thumbnails";
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
  const named = kind !== "switch" && !(kind === "number" && slides(input));
  return (
    <div className="fieldrow" data-kind={kind}>
      {named && <label htmlFor={id}>{label}</label>}
      {kind === "text" && <textarea id={id} dir="auto" className={`field ${prominent ? "tall" : ""}`} value={String(value ?? "")} onChange={(event) => set(event.target.value)} spellCheck={false} />}
      {kind === "line" && <input id={id} className="field" value={String(value ?? "")} onChange={(event) => set(event.target.value)} />}
      {kind === "number" && <NumberField id={id} label={label} input={input} value={Number(value)} set={set} />}
      {kind === "seed" && <SeedField id={id} document={document} graph={graph} shown={shown} value={Number(value)} set={set} />}
      {kind === "choice" && <Choice id={id} label={label} input={input} value={value} set={set} />}
      {kind === "picture" && <Picture id={id} label={label} input={input} value={value} set={set} />}
      {kind === "picture" && typeof value === "string" && value !== "" && <PictureTools document={document} graph={graph} node={shown.node.id} input={input.name} />}
      {kind === "switch" && (
        <Switch id={id} on={value === true} set={set}>
          {label}
        </Switch>
      )}
    </div>
  );
}

interface Editing {
  readonly id: string;
  readonly label: string;
  readonly input: InputSpec;
  readonly set: (value: Json) => void;
}

/** As far as a slider goes: people rarely want more, and the field beside it takes the whole range. */
const farthest = (input: InputSpec): number | undefined => (input.name === "steps" ? 60 : input.name === "cfg" ? 20 : input.max);
const slides = (input: InputSpec): boolean => {
  const most = farthest(input);
  return most !== undefined && input.min !== undefined && most - input.min <= 4096 && !/width|height/.test(input.name);
};

function NumberField({ id, label, input, value, set }: Editing & { readonly value: number }) {
  const step = input.step ?? (input.type === "INT" ? 1 : 0.1);
  const stepper = <Stepper id={id} value={value} min={input.min} max={input.max} step={step} whole={input.type === "INT"} plain={slides(input)} set={set} />;
  if (!slides(input)) return stepper;
  return (
    <>
      <div className="named">
        <label htmlFor={id}>{label}</label>
        {stepper}
      </div>
      <Slider label={t("number.slider", "{label}, slider", { label })} min={input.min ?? 0} max={farthest(input) ?? 100} step={step} value={value} set={set} />
    </>
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
        <Stepper id={id} className="grow" plain min={0} max={shown.input.max} value={value} set={set} />
        <button className="button icon" aria-label={t("seed.new", "Another seed")} title={t("seed.new", "Another seed")} onClick={() => set(Math.floor(Math.random() * 2 ** 48))}>
          <Icon name="dice" />
        </button>
      </div>
      <Switch quiet on={moves} set={control}>
        {t("seed.moves", "A new one after each run")}
      </Switch>
    </>
  );
}

function Choice({ id, label, input, value, set }: Editing & { readonly value: Json }) {
  const choices = input.choices ?? [];
  const options = choices.map((one) => ({ value: String(one), label: String(one).replace(/\.(safetensors|ckpt|pt|pth)$/, ""), picture: thumbnailOf(input, one) }));
  return (
    <Select id={id} label={label} value={String(value)} options={options} missing={!choices.includes(value)} set={(next) => set(choices.find((one) => String(one) === next) ?? next)} />
  );
}

function Picture({ id, label, input, value, set }: Editing & { readonly value: Json }) {
  return (
    <>
      <div className="row">
        <Choice id={id} label={label} input={input} value={value} set={set} />
        <button className="button" onClick={() => void chooseFile(String(value ?? "")).then((chosen) => chosen !== undefined && set(chosen))}>
          {t("picture.choose", "Choose…")}
        </button>
      </div>
      {typeof value === "string" && value !== "" && (
        <img className="chosen" alt="" src={inputPicture(value)} />
      )}
    </>
  );
}
