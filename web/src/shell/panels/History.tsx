import { useStore } from "../../client/store";
import { t } from "../../i18n";
import { useRevision } from "../useDocument";
import { active, type Tab } from "../workspace";

/** Everything that was done since the workflow was opened; a press goes back to it, or forward. */
export default function History() {
  const tab = useStore(active);
  return <div className="body">{tab && <Steps tab={tab} />}</div>;
}

const MOST = 300;

function Steps({ tab }: { readonly tab: Tab }) {
  useRevision(tab.document);
  const { history, position } = tab.document;
  const first = Math.max(0, history.length - MOST);
  const entry = (at: number, label: string) => (
    <li key={at}>
      <button className="entry" aria-current={at === position ? "step" : undefined} onClick={() => tab.document.goTo(at)}>
        <span className={`label ${at > position ? "past" : ""}`}>{label}</span>
      </button>
    </li>
  );
  return (
    <ol className="list">
      {history
        .slice(first)
        .map((step, at) => entry(first + at + 1, step.label))
        .reverse()}
      {entry(0, t("history.opened", "As it was opened"))}
    </ol>
  );
}
