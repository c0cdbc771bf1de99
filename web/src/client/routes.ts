/* Made by `npm run types` from the server's description of its API. Not to be changed by hand. */
export interface Routes {
  /** The editor */
  "GET /": { readonly query: never; readonly body: undefined };
  /** Batches, the newest first */
  "GET /api/batches": { readonly query: "limit" | "offset"; readonly body: undefined };
  /** One batch, with its jobs and their values */
  "GET /api/batches/{batch_id}": { readonly query: never; readonly body: undefined };
  /** Cancel what has not ended of a batch */
  "POST /api/batches/{batch_id}/cancel": { readonly query: never; readonly body: undefined };
  /** Queue again what failed or was cancelled of a batch */
  "POST /api/batches/{batch_id}/retry": { readonly query: never; readonly body: { readonly all?: boolean } };
  /** Jobs, the newest first */
  "GET /api/jobs": { readonly query: "batch_id" | "limit" | "offset" | "sort_by" | "sort_order" | "status" | "workflow_id"; readonly body: undefined };
  /** Cancel several jobs */
  "POST /api/jobs/cancel": { readonly query: never; readonly body: { readonly job_ids: readonly (string)[] } };
  /** One job, with its workflow and outputs */
  "GET /api/jobs/{job_id}": { readonly query: never; readonly body: undefined };
  /** Cancel a job */
  "POST /api/jobs/{job_id}/cancel": { readonly query: never; readonly body: undefined };
  /** Change a waiting job's place in the queue */
  "POST /api/jobs/{job_id}/priority": { readonly query: never; readonly body: { readonly number?: number; readonly front?: boolean } };
  /** Queue a job again that ended */
  "POST /api/jobs/{job_id}/retry": { readonly query: never; readonly body: undefined };
  /** The last picture of a job, small */
  "GET /api/jobs/{job_id}/thumbnail": { readonly query: "size"; readonly body: undefined };
  /** A file of the editor */
  "GET /assets/{name}": { readonly query: never; readonly body: undefined };
  /** This description, for people */
  "GET /docs/api": { readonly query: never; readonly body: undefined };
  /** Textual inversions */
  "GET /embeddings": { readonly query: never; readonly body: undefined };
  /** The event log after a number */
  "GET /events": { readonly query: "client_id" | "job" | "limit" | "since"; readonly body: undefined };
  /** Kinds of model files with their folders */
  "GET /experiment/models": { readonly query: never; readonly body: undefined };
  /** The picture beside a model file */
  "GET /experiment/models/preview/{folder}/{path_index}/{filename}": { readonly query: never; readonly body: undefined };
  /** Model files with sizes and times */
  "GET /experiment/models/{folder}": { readonly query: never; readonly body: undefined };
  /** Scripts for the editor */
  "GET /extensions": { readonly query: never; readonly body: undefined };
  /** Packs that bring something for the editor */
  "GET /extensions/packs": { readonly query: never; readonly body: undefined };
  /** A pack's file for the editor */
  "GET /extensions/{pack}/{file}": { readonly query: never; readonly body: undefined };
  /** What this server can do */
  "GET /features": { readonly query: never; readonly body: undefined };
  /** Files of the input, output and temporary folder, to choose from */
  "GET /files": { readonly query: "kind" | "limit" | "offset" | "q" | "subfolder" | "type"; readonly body: undefined };
  /** What a run would do, without running it */
  "POST /forecast": { readonly query: never; readonly body: { readonly prompt: Readonly<Record<string, { readonly class_type: string; readonly inputs: Readonly<Record<string, unknown>>; readonly _meta?: Readonly<Record<string, unknown>> }>> | { readonly nodes: readonly (unknown)[] }; readonly partial_execution_targets?: readonly (string)[] } };
  /** Let go of weights and results */
  "POST /free": { readonly query: never; readonly body: { readonly unload_models?: boolean; readonly free_memory?: boolean } };
  /** Pictures of the output folder, searched and filtered */
  "GET /gallery": { readonly query: "after" | "before" | "limit" | "offset" | "q" | "workflow"; readonly body: undefined };
  /** Move pictures into the trash */
  "POST /gallery/delete": { readonly query: never; readonly body: { readonly files: readonly ({ readonly filename: string; readonly subfolder?: string })[] } };
  /** Bring pictures back from the trash */
  "POST /gallery/restore": { readonly query: never; readonly body: { readonly trash: string } };
  /** A small form of a picture */
  "GET /gallery/thumbnail": { readonly query: "filename" | "size" | "subfolder" | "type" | "v"; readonly body: undefined };
  /** Subgraphs that packs bring */
  "GET /global_subgraphs": { readonly query: never; readonly body: undefined };
  /** Is the server well */
  "GET /healthz": { readonly query: never; readonly body: undefined };
  /** What ended, the oldest first */
  "GET /history": { readonly query: "max_items" | "offset"; readonly body: undefined };
  /** Forget jobs that ended */
  "POST /history": { readonly query: never; readonly body: { readonly clear?: boolean; readonly delete?: readonly (string)[] } };
  /** One job's entry of the history */
  "GET /history/{prompt_id}": { readonly query: never; readonly body: undefined };
  /** Translations that packs bring */
  "GET /i18n": { readonly query: never; readonly body: undefined };
  /** Files of a folder, the newest first */
  "GET /internal/files/{directory_type}": { readonly query: never; readonly body: undefined };
  /** Kinds of model files */
  "GET /internal/folder_paths": { readonly query: never; readonly body: undefined };
  /** What nodes printed last */
  "GET /internal/logs": { readonly query: never; readonly body: undefined };
  /** What nodes printed last, line by line */
  "GET /internal/logs/raw": { readonly query: never; readonly body: undefined };
  /** Ask for lines as they are printed */
  "PATCH /internal/logs/subscribe": { readonly query: never; readonly body: { readonly clientId?: string; readonly enabled?: boolean } };
  /** Stop the job that runs */
  "POST /interrupt": { readonly query: never; readonly body: { readonly prompt_id?: string } };
  /** What weights take of device and RAM, by model, and kept results of RAM and disk */
  "GET /memory": { readonly query: never; readonly body: undefined };
  /** Counts for Prometheus */
  "GET /metrics": { readonly query: never; readonly body: undefined };
  /** Kinds of model files */
  "GET /models": { readonly query: never; readonly body: undefined };
  /** Model files of a kind */
  "GET /models/{folder}": { readonly query: never; readonly body: undefined };
  /** Node types that took the place of others */
  "GET /node_replacements": { readonly query: never; readonly body: undefined };
  /** All node types */
  "GET /object_info": { readonly query: never; readonly body: undefined };
  /** One node type */
  "GET /object_info/{node_class}": { readonly query: never; readonly body: undefined };
  /** This description */
  "GET /openapi.json": { readonly query: never; readonly body: undefined };
  /** What memory a run would take, without running it */
  "POST /plan": { readonly query: never; readonly body: { readonly prompt: Readonly<Record<string, { readonly class_type: string; readonly inputs: Readonly<Record<string, unknown>>; readonly _meta?: Readonly<Record<string, unknown>> }>> | { readonly nodes: readonly (unknown)[] }; readonly card?: string; readonly vram?: string; readonly link?: string } };
  /** How many jobs wait or run */
  "GET /prompt": { readonly query: never; readonly body: undefined };
  /** Queue a workflow */
  "POST /prompt": { readonly query: never; readonly body: { readonly prompt: Readonly<Record<string, { readonly class_type: string; readonly inputs: Readonly<Record<string, unknown>>; readonly _meta?: Readonly<Record<string, unknown>> }>> | { readonly nodes: readonly (unknown)[] }; readonly client_id?: string; readonly prompt_id?: string; readonly number?: number; readonly front?: boolean; readonly partial_execution_targets?: readonly (string)[]; readonly extra_data?: Readonly<Record<string, unknown>>; readonly batch?: { readonly zip?: Readonly<Record<string, readonly (unknown)[]>>; readonly product?: Readonly<Record<string, readonly (unknown)[]>> }; readonly webhook?: { readonly url: string; readonly events?: readonly ("completed" | "failed" | "cancelled")[]; readonly secret?: string } } };
  /** The jobs that run and wait */
  "GET /queue": { readonly query: never; readonly body: undefined };
  /** Take jobs off the queue */
  "POST /queue": { readonly query: never; readonly body: { readonly clear?: boolean; readonly delete?: readonly (string)[] } };
  /** The user's settings */
  "GET /settings": { readonly query: never; readonly body: undefined };
  /** Change settings */
  "POST /settings": { readonly query: never; readonly body: Readonly<Record<string, unknown>> };
  /** One setting */
  "GET /settings/{id}": { readonly query: never; readonly body: undefined };
  /** Change one setting */
  "POST /settings/{id}": { readonly query: never; readonly body: unknown };
  /** The machine */
  "GET /system_stats": { readonly query: never; readonly body: undefined };
  /** How many tokens a prompt is */
  "POST /tokens": { readonly query: never; readonly body: { readonly text: string } };
  /** Upload a picture */
  "POST /upload/image": { readonly query: never; readonly body: FormData };
  /** Upload a mask for a picture */
  "POST /upload/mask": { readonly query: never; readonly body: FormData };
  /** The user's files */
  "GET /userdata": { readonly query: "dir" | "full_info" | "recurse" | "split"; readonly body: undefined };
  /** Remove a file of the user */
  "DELETE /userdata/{file}": { readonly query: never; readonly body: undefined };
  /** A file of the user */
  "GET /userdata/{file}": { readonly query: never; readonly body: undefined };
  /** Write a file of the user */
  "POST /userdata/{file}": { readonly query: "full_info" | "overwrite"; readonly body: unknown };
  /** Rename a file of the user */
  "POST /userdata/{file}/move/{dest}": { readonly query: "full_info" | "overwrite"; readonly body: undefined };
  /** Who uses the server */
  "GET /users": { readonly query: never; readonly body: undefined };
  /** Add a user */
  "POST /users": { readonly query: never; readonly body: { readonly username: string } };
  /** The user's files and folders */
  "GET /v2/userdata": { readonly query: "path"; readonly body: undefined };
  /** Workflows that have versions */
  "GET /versions": { readonly query: never; readonly body: undefined };
  /** Forget all versions of a workflow */
  "DELETE /versions/{file}": { readonly query: never; readonly body: undefined };
  /** Versions of a workflow, the newest first */
  "GET /versions/{file}": { readonly query: never; readonly body: undefined };
  /** Keep a version without saving it */
  "POST /versions/{file}": { readonly query: never; readonly body: Readonly<Record<string, unknown>> };
  /** Forget a version */
  "DELETE /versions/{file}/{version}": { readonly query: never; readonly body: undefined };
  /** The document of a version */
  "GET /versions/{file}/{version}": { readonly query: never; readonly body: undefined };
  /** Make a version the saved workflow again */
  "POST /versions/{file}/{version}/restore": { readonly query: never; readonly body: undefined };
  /** A file that was saved or uploaded */
  "GET /view": { readonly query: "channel" | "filename" | "preview" | "subfolder" | "type" | "user"; readonly body: undefined };
  /** Metadata of a model file */
  "GET /view_metadata/{folder}": { readonly query: "filename"; readonly body: undefined };
  /** Example workflows */
  "GET /workflow_templates": { readonly query: never; readonly body: undefined };
  /** One of them */
  "GET /workflow_templates/{pack}/{name}": { readonly query: never; readonly body: undefined };
  /** Saved workflows */
  "GET /workflows": { readonly query: never; readonly body: undefined };
  /** What a workflow takes and gives */
  "GET /workflows/{name}": { readonly query: never; readonly body: undefined };
  /** Call a workflow */
  "POST /workflows/{name}": { readonly query: "client_id" | "wait"; readonly body: { readonly batch?: { readonly zip?: Readonly<Record<string, readonly (unknown)[]>>; readonly product?: Readonly<Record<string, readonly (unknown)[]>> }; readonly webhook?: { readonly url: string; readonly events?: readonly ("completed" | "failed" | "cancelled")[]; readonly secret?: string } } };
  /** WebSocket: what happens, as it happens */
  "GET /ws": { readonly query: "clientId" | "since" | "watch"; readonly body: undefined };
}
