/** The few things of Node that these tests use. */
declare module "node:fs" {
  export function existsSync(path: string): boolean;
  export function readdirSync(path: string): string[];
  export function readFileSync(path: string): Uint8Array<ArrayBuffer>;
  export function readFileSync(path: string, encoding: "utf-8"): string;
}

declare module "node:path" {
  export function join(...parts: string[]): string;
}

declare const process: { cpuUsage(): { readonly user: number; readonly system: number } };

interface ImportMeta {
  readonly dirname: string;
}
