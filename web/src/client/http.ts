import type { Routes } from "./routes";

/** A refusal of the server in its own words, or the network's absence (status 0). */
export class ServerError extends Error {
  constructor(
    readonly status: number,
    readonly kind: string,
    message: string,
    readonly details = "",
    readonly nodeErrors: NodeErrors = {},
  ) {
    super(message);
    this.name = "ServerError";
  }
}

export interface NodeProblem {
  readonly type: string;
  readonly message: string;
  readonly details: string;
  readonly extra_info: { readonly input_name?: string; readonly hint?: string; readonly [key: string]: unknown };
}
export type NodeErrors = Readonly<Record<string, { readonly errors: readonly NodeProblem[]; readonly class_type: string }>>;

export interface Asked<R extends keyof Routes> {
  /** Values of `{name}` in the path. */
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: Partial<Record<Routes[R]["query"], string | number | boolean>>;
  readonly body?: Routes[R]["body"];
  readonly signal?: AbortSignal;
}

/** Ask one of the server's routes; answers with the JSON that it gives, or undefined where it gives none. */
export async function ask<T, R extends keyof Routes = keyof Routes>(route: R, asked: Asked<R> = {}): Promise<T> {
  const answer = await send(route, asked);
  const kind = answer.headers.get("Content-Type") ?? "";
  if (!kind.startsWith("application/json")) return undefined as T;
  return (await answer.json()) as T;
}

/** As `ask`, for answers that are files. */
export async function fetchBlob<R extends keyof Routes>(route: R, asked: Asked<R> = {}): Promise<Blob> {
  return (await send(route, asked)).blob();
}

async function send<R extends keyof Routes>(route: R, asked: Asked<R>): Promise<Response> {
  const [method = "GET", template = "/"] = route.split(" ");
  const body = asked.body as unknown;
  const init: RequestInit = { method, headers: {} };
  if (asked.signal) init.signal = asked.signal;
  if (body instanceof FormData || body instanceof Blob) init.body = body;
  else if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "Content-Type": "application/json" };
  }
  let answer: Response;
  try {
    answer = await fetch(addressOf(template, asked), init);
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new ServerError(0, "offline", "The server does not answer");
  }
  if (answer.status === 401) location.assign("/login");
  if (!answer.ok) throw await refusalOf(answer);
  return answer;
}

function addressOf(template: string, asked: Asked<keyof Routes>): string {
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(asked.path?.[name] ?? ""));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(asked.query ?? {})) query.set(name, String(value));
  return query.size > 0 ? `${path}?${query}` : path;
}

async function refusalOf(answer: Response): Promise<ServerError> {
  const text = await answer.text();
  try {
    const said = JSON.parse(text) as {
      error?: { type?: string; message?: string; details?: string };
      node_errors?: NodeErrors;
    };
    if (said.error?.message !== undefined) {
      const { type = "", message, details = "" } = said.error;
      return new ServerError(answer.status, type, message, details, said.node_errors ?? {});
    }
  } catch {
    // Not JSON: the text itself is what was said.
  }
  return new ServerError(answer.status, `http_${answer.status}`, text || answer.statusText);
}
