import type { NodeId } from "../../document/types";
import { useView } from "../context";
import type { NodeProblem, NodeRun } from "../runView";

/** What hangs below a node: what is wrong with it, and the texts it gave. */
export function Below({ id, run, tab }: { readonly id: NodeId; readonly run: NodeRun | undefined; readonly tab: number }) {
  const problems = run?.problems ?? [];
  const texts = run?.texts ?? [];
  if (problems.length + texts.length === 0) return null;
  return (
    <div className="node-below" data-interactive="">
      {problems.length > 0 && <Problems id={id} problems={problems} tab={tab} />}
      {texts.length > 0 && <output className="node-texts" data-scrolls="">{texts.join("\n")}</output>}
    </div>
  );
}

/** What is wrong with a node, with the button that repairs it. */
function Problems({ id, problems, tab }: { readonly id: NodeId; readonly problems: readonly NodeProblem[]; readonly tab: number }) {
  const { actions } = useView();
  return (
    <div className="node-problems" role="status">
      {problems.map((problem) => (
        <div key={`${problem.input ?? ""}${problem.message}`} className="node-problem">
          <span>{problem.message}</span>
          {problem.hint !== undefined && <span className="node-hint">{problem.hint}</span>}
          {problem.fix !== undefined && (
            <button type="button" tabIndex={tab} onClick={() => actions().onFix(id, problem)}>
              {problem.fix}
            </button>
          )}
        </div>
      ))}
    </div>
  );
}
