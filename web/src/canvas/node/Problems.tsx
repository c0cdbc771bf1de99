import type { NodeId } from "../../document/types";
import { useView } from "../context";
import type { NodeProblem } from "../runView";

/** What is wrong with a node, below it, with the button that repairs it. */
export function Problems({ id, problems, tab }: { readonly id: NodeId; readonly problems: readonly NodeProblem[]; readonly tab: number }) {
  const { actions } = useView();
  return (
    <div className="node-problems" role="status" data-interactive="">
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
