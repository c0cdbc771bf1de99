/** Queue a workflow once for every combination of values. */
import { ask } from "../../client/http";
import { randomId } from "../../client/identity";
import { refreshQueue } from "../../client/queue";
import { applyCommand } from "../../document/commands";
import { exactText } from "../../document/exact";
import type { Command, GraphId, Json, NodeId } from "../../document/types";
import { t } from "../../i18n";
import { signaturesOf } from "../../shell/checking";
import { fileOf, promptOf } from "../../shell/documents";
import { socket } from "../../shell/running";
import { specs, type Tab } from "../../shell/workspace";
import type { SheetAxis, SheetJob } from "../screens";
import { labelOf, product } from "./values";

export interface SweptInput {
  readonly node: NodeId;
  readonly title: string;
  readonly input: string;
  readonly values: readonly Json[];
}
export interface Swept {
  readonly axes: readonly SheetAxis[];
  readonly jobs: readonly SheetJob[];
}

/** Each job carries the workflow with its own values, so that any of its pictures opens as what made it. */
export async function queueSweep(tab: Tab, graph: GraphId, inputs: readonly SweptInput[]): Promise<Swept> {
  const known = specs.get();
  if (known === undefined) throw new Error(t("loading", "Loading"));
  const jobs: SheetJob[] = [];
  for (const values of product(inputs.map((one) => one.values))) {
    const commands = inputs.map((one, at): Command => ({ do: "setValue", graph, id: one.node, input: one.input, value: values[at]! }));
    const { workflow } = applyCommand(tab.document.workflow, { do: "several", commands });
    const prompt = promptOf(workflow, known);
    const body = {
      prompt,
      client_id: socket.clientId,
      prompt_id: randomId(),
      extra_data: { extra_pnginfo: { workflow: fileOf(workflow, known) }, workflow_name: tab.name.get() },
    };
    const text = new Blob([exactText(workflow, body)], { type: "application/json" });
    const { prompt_id: id, node_errors: errors } = await ask<{ prompt_id: string; node_errors: never }>("POST /prompt", { body: text as never });
    tab.run.queued(id, Object.keys(prompt), errors, signaturesOf(prompt).values());
    jobs.push({ id, values: values.map(labelOf) });
  }
  refreshQueue();
  return { axes: inputs.map(({ title, input, values }) => ({ title, input, values: values.map(labelOf) })), jobs };
}
