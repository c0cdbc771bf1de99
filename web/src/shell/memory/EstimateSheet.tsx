import "../../styles/memory.css";
import { t } from "../../i18n";
import { graphHandle } from "../graphHandle";
import { Select } from "../controls/Select";
import { preference, setPreference } from "../preferences";
import { useStore } from "../../client/store";
import type { Tab } from "../workspace";
import { CARDS, type Estimate } from "./estimate";
import { gigabytes, seconds, whole, type MemoryPlan, type PlannedNode } from "./figures";

/** The plan node by node, the card that it is made for, and what would help where it does not fit. */
export default function EstimateSheet({ tab, estimate, words }: { readonly tab: Tab; readonly estimate: Estimate; readonly words: string }) {
  const plan = "plan" in estimate ? estimate.plan : undefined;
  return (
    <div className="estimatesheet">
      <p className={plan && !plan.fits ? "wrong" : ""}>
        <b>{words}</b>
      </p>
      {"anyway" in estimate && (
        <button className="button" onClick={estimate.anyway}>{t("estimate.anyway", "Run them, without models, for an estimate")}</button>
      )}
      {plan && <Facts plan={plan} />}
      {plan && <Nodes tab={tab} plan={plan} />}
      <CardChoice />
      <p className="quiet small">{t("estimate.how", "Worked out beforehand, not measured: the workflow is rehearsed without its models’ weights.")}</p>
    </div>
  );
}

function Facts({ plan }: { readonly plan: MemoryPlan }) {
  const facts: readonly (readonly [string, string | undefined])[] = [
    [t("estimate.smallest", "Smallest card"), gigabytes(plan.smallest_vram_bytes)],
    [t("estimate.computing", "Computing"), seconds(plan.compute_seconds)],
    [t("estimate.waiting", "Waiting for weights"), plan.stall_seconds === null ? undefined : seconds(plan.stall_seconds)],
    [t("estimate.moved", "Brought to the card"), plan.moved_bytes === null ? undefined : gigabytes(plan.moved_bytes)],
  ];
  return (
    <dl className="facts2">
      {facts.map(([name, value]) => value !== undefined && (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Nodes({ tab, plan }: { readonly tab: Tab; readonly plan: MemoryPlan }) {
  const room = Math.max(plan.card.usable_bytes, ...plan.nodes.map((node) => node.peak_bytes));
  const show = (node: PlannedNode): void => {
    tab.view.set("graph");
    const id = node.node.split(":")[0]!; // a node inside a subgraph is shown by the one that stands for it
    tab.selection.set({ nodes: new Set([id]) });
    requestAnimationFrame(() => graphHandle.get()?.centreOn(id));
  };
  return (
    <ul className="plannednodes" aria-label={t("estimate.nodes", "Node by node")}>
      {plan.nodes.map((node) => (
        <li key={node.node} className={node.fits ? "" : "wrong"}>
          <button className="textlink" onClick={() => show(node)}>
            {node.title}
          </button>
          <span className="number">{gigabytes(node.peak_bytes)}</span>
          <span className="number quiet" title={t("estimate.computing", "Computing")}>{seconds(node.compute_seconds)}</span>
          <span className="membar" aria-hidden="true">
            <i style={{ width: `${(100 * (node.resident_bytes ?? Math.min(node.weight_bytes, node.peak_bytes))) / room}%` }} />
            <i className="work" style={{ width: `${(100 * Math.max(0, node.peak_bytes - (node.resident_bytes ?? Math.min(node.weight_bytes, node.peak_bytes)))) / room}%` }} />
          </span>
          <span className="quiet small tale">
            {node.moved_bytes === null || node.stall_seconds === null
              ? t("estimate.weights", "weights {weights}", { weights: gigabytes(node.weight_bytes) })
              : t("estimate.node", "weights {weights}, moved {moved}, waiting {waiting}", {
                  weights: gigabytes(node.resident_bytes ?? node.weight_bytes),
                  moved: gigabytes(node.moved_bytes),
                  waiting: seconds(node.stall_seconds),
                })}
          </span>
          {node.would_fit.map((way) => (
            <span key={way} className="small tale">{t("estimate.helps", "It would fit with: {way}", { way })}</span>
          ))}
        </li>
      ))}
      {!plan.fits && plan.nodes.every((node) => node.fits) && <li className="tale">{t("estimate.together", "Each node fits, all together do not: a card of {card} would do", { card: gigabytes(whole(plan)) })}</li>}
    </ul>
  );
}

export function CardChoice() {
  const vram = useStore(preference("vram"));
  const name = (one: string): string => (one === "" ? t("estimate.card.here", "The card that is here, else 8 GB") : one.replace("GiB", " GB"));
  return (
    <div className="setting">
      <span className="label">{t("estimate.card", "Memory of the card to plan for")}</span>
      <Select label={t("estimate.card", "Memory of the card to plan for")} value={vram} options={CARDS.map((one) => ({ value: one, label: name(one) }))} set={(value) => setPreference("vram", value)} />
    </div>
  );
}
