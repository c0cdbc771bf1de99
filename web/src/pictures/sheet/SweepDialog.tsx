import { useEffect, useId, useMemo, useState, type FormEvent } from "react";
import { specOf } from "../../document/shown";
import type { GraphNode, InputSpec, Json } from "../../document/types";
import { t } from "../../i18n";
import { sayError } from "../../shell/toasts";
import { specs, type Tab } from "../../shell/workspace";
import { tabOf } from "../actions";
import type { ScreenOf } from "../PictureScreens";
import { ScreenFrame } from "../ScreenFrame";
import { leaveScreen, replaceScreen } from "../screens";
import { queueSweep, type SweptInput } from "./queueSweep";
import { remember } from "./sheets";
import { labelOf, mannerOf, MOST_JOBS, parseLines, parseNumbers, suggested, type Parsed } from "./values";

interface Choice {
  readonly key: string;
  readonly node: GraphNode;
  readonly title: string;
  readonly input: InputSpec;
}

/** All inputs of a graph whose values can be swept; those of the node one came from stand first. */
function choicesOf(tab: Tab, graph: string, first: string): readonly Choice[] {
  const known = specs.get();
  if (known === undefined) return [];
  const { workflow } = tab.document;
  const nodes = [...tab.document.graph(graph).nodes.values()].sort((a, b) => Number(b.id === first) - Number(a.id === first));
  return nodes.flatMap((node) => {
    const spec = specOf(workflow, node, known);
    const linked = new Set(tab.document.linksOf(graph, node.id).in.map((link) => node.inputs[link.input]?.widget ?? node.inputs[link.input]?.name));
    const inputs = spec?.inputs.filter((input) => mannerOf(input) !== undefined && !linked.has(input.name)) ?? [];
    return inputs.map((input) => ({ key: `${node.id}.${input.name}`, node, title: node.title ?? spec?.title ?? node.type, input }));
  });
}

/** One or two inputs, and the values that each is run with. */
export default function SweepDialog({ screen }: ScreenOf<"sweep">) {
  const tab = tabOf(screen.tab);
  const choices = useMemo(() => (tab ? choicesOf(tab, screen.graph, screen.node) : []), [tab, screen]);
  const start = choices.find((one) => one.node.id === screen.node && (screen.input === undefined || one.input.name === screen.input));
  const [keys, setKeys] = useState<readonly [string, string]>([start?.key ?? "", ""]);
  const [given, setGiven] = useState<Readonly<Record<string, Parsed>>>({});
  const [busy, setBusy] = useState(false);
  const used = keys.flatMap((key) => choices.find((one) => one.key === key) ?? []);
  const swept: readonly SweptInput[] = used.map((one) => ({ node: one.node.id, title: one.title, input: one.input.name, values: given[one.key]?.values ?? [] }));
  const count = swept.length === 0 ? 0 : swept.reduce((product, one) => product * one.values.length, 1);
  const go = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (tab === undefined || count === 0) return;
    setBusy(true);
    try {
      const { axes, jobs } = await queueSweep(tab, screen.graph, swept);
      remember({ name: tab.name.get(), at: Date.now(), axes, jobs });
      replaceScreen({ kind: "sheet", name: tab.name.get(), axes, jobs });
    } catch (error) {
      setBusy(false);
      sayError(error);
    }
  };
  const take = (key: string) => (parsed: Parsed) => setGiven((before) => ({ ...before, [key]: parsed }));
  return (
    <ScreenFrame title={t("sweep.title", "Sweep over values")} small>
      <form className="sweep" onSubmit={(event) => void go(event)}>
        <p className="quiet">{t("sweep.hint", "The workflow runs once for each combination; everything else stays as it is, the seed too.")}</p>
        {[0, 1].map((at) => {
          const one = choices.find((choice) => choice.key === keys[at]);
          return (
            <fieldset key={at}>
              <legend>{at === 0 ? t("sweep.columns", "Columns") : t("sweep.rows", "Rows")}</legend>
              <select className="field" aria-label={at === 0 ? t("sweep.columnsInput", "Input in the columns") : t("sweep.rowsInput", "Input in the rows")} value={keys[at]} onChange={(event) => setKeys(at === 0 ? [event.target.value, keys[1]] : [keys[0], event.target.value])}>
                <option value="">{t("sweep.none", "None")}</option>
                {choices.filter((choice) => choice.key !== keys[1 - at]).map((choice) => (
                  <option key={choice.key} value={choice.key}>{`${choice.title} · ${choice.input.name}`}</option>
                ))}
              </select>
              {one && <Values key={one.key} choice={one} take={take(one.key)} />}
            </fieldset>
          );
        })}
        <footer className="row">
          <span className="grow quiet" role="status">{count > MOST_JOBS ? t("sweep.tooMany", "{count} runs are too many; at most {most}", { count, most: MOST_JOBS }) : t("sweep.count", "{count} runs", { count })}</span>
          <button type="button" className="button" onClick={leaveScreen}>{t("cancel", "Cancel")}</button>
          <button className="button run" disabled={busy || count === 0 || count > MOST_JOBS}>{t("sweep.go", "Run them")}</button>
        </footer>
      </form>
    </ScreenFrame>
  );
}

function Values({ choice, take }: { readonly choice: Choice; take(parsed: Parsed): void }) {
  const { input, node } = choice;
  const manner = mannerOf(input);
  const value = node.values[input.name] ?? input.default;
  const id = useId();
  const parse = (text: string): Parsed => (manner === "numbers" ? parseNumbers(text, input) : parseLines(text));
  const [text, setText] = useState(() => suggested(input, value));
  useEffect(() => {
    if (manner === "numbers" || manner === "lines") take(parse(text));
  }, []);
  const { wrong } = manner === "numbers" ? parse(text) : { wrong: undefined };
  if (manner === "choices" || manner === "both") return <Several choices={manner === "both" ? [true, false] : (input.choices ?? [])} value={value} take={take} />;
  const label = manner === "numbers" ? t("sweep.numbers", "Numbers, ranges like 4..8 by 0.5") : t("sweep.lines", "One text on each line");
  return (
    <>
      <label htmlFor={id} className="small quiet">{label}</label>
      <textarea
        id={id}
        className="field"
        rows={manner === "numbers" ? 1 : 4}
        spellCheck={false}
        value={text}
        aria-invalid={wrong !== undefined}
        aria-describedby={wrong === undefined ? undefined : `${id}-wrong`}
        onChange={(event) => {
          setText(event.target.value);
          take(parse(event.target.value));
        }}
      />
      {wrong !== undefined && <p id={`${id}-wrong`} className="wrong small" role="alert">{t("sweep.wrong", "Not possible here: {part}", { part: wrong })}</p>}
    </>
  );
}

/** Some of an input's choices, the present one first. */
function Several({ choices, value, take }: { readonly choices: readonly Json[]; readonly value: Json | undefined; take(parsed: Parsed): void }) {
  const [picked, setPicked] = useState<readonly Json[]>(() => choices.filter((one) => one === value));
  useEffect(() => take({ values: picked }), []);
  const [text, setText] = useState("");
  const toggle = (one: Json): void => {
    const next = choices.filter((choice) => (choice === one ? !picked.includes(one) : picked.includes(choice)));
    setPicked(next);
    take({ values: next });
  };
  const shown = choices.filter((one) => picked.includes(one) || labelOf(one).toLowerCase().includes(text.toLowerCase()));
  return (
    <>
      {choices.length > 8 && <input className="field" type="search" aria-label={t("sweep.filter", "Filter the choices")} placeholder={t("sweep.filter", "Filter the choices")} value={text} onChange={(event) => setText(event.target.value)} />}
      <div className="sweep-choices" role="group" aria-label={t("sweep.choices", "Values")} tabIndex={-1}>
        {shown.map((one) => (
          <label key={labelOf(one)} className="row">
            <input type="checkbox" checked={picked.includes(one)} onChange={() => toggle(one)} />
            {labelOf(one)}
          </label>
        ))}
      </div>
    </>
  );
}
