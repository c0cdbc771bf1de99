/** The crash journal: what each open workflow was when it was opened, and every command since, in IndexedDB. */

export interface JournalBase {
  readonly key: string;
  /** The window that it is open in. */
  readonly owner: string;
  readonly name: string;
  readonly path: string | null;
  /** The whole document as a file, as it was when the log below it began. */
  readonly text: string;
  readonly saved: boolean;
  readonly view: "form" | "graph";
  readonly at: number;
}

const NAME = "safelight-journal";
let opening: Promise<IDBDatabase> | undefined;

function database(): Promise<IDBDatabase> {
  opening ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore("bases", { keyPath: "key" });
      asked.result.createObjectStore("steps", { keyPath: ["key", "at"] });
    };
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error ?? new Error("no journal"));
  });
  return opening;
}

async function write(stores: string[], work: (transaction: IDBTransaction) => void): Promise<void> {
  const transaction = (await database()).transaction(stores, "readwrite", { durability: "strict" });
  work(transaction);
  await new Promise<void>((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = () => reject(transaction.error ?? new Error("journal not written"));
  });
}

const all = (key: string) => IDBKeyRange.bound([key, -Infinity], [key, Infinity]);

/** Whether anything was ever kept in this browser: to open the journal takes a tenth of a second that a first visit need not wait for. */
export const wasHereBefore = (): boolean => localStorage.getItem(HERE) !== null;
const HERE = "journal";

/** Begin the log of a workflow anew from what it is now. */
export function putBase(base: JournalBase): Promise<void> {
  localStorage.setItem(HERE, "1");
  return write(["bases", "steps"], (transaction) => {
    transaction.objectStore("bases").put(base);
    transaction.objectStore("steps").delete(all(base.key));
  });
}

/** Add what was done to a workflow: commands as JSON text, in order. */
export function addStep(key: string, at: number, command: string): Promise<void> {
  return write(["steps"], (transaction) => transaction.objectStore("steps").put({ key, at, command }));
}

export function dropJournal(key: string): Promise<void> {
  return write(["bases", "steps"], (transaction) => {
    transaction.objectStore("bases").delete(key);
    transaction.objectStore("steps").delete(all(key));
  });
}

/** Everything that was open when the page was last left, with the commands since. */
export async function readJournal(): Promise<readonly (JournalBase & { readonly commands: readonly string[] })[]> {
  const transaction = (await database()).transaction(["bases", "steps"]);
  const got = <T>(request: IDBRequest<T>) =>
    new Promise<T>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error("journal not read"));
    });
  const [bases, steps] = await Promise.all([
    got(transaction.objectStore("bases").getAll() as IDBRequest<JournalBase[]>),
    got(transaction.objectStore("steps").getAll() as IDBRequest<{ key: string; at: number; command: string }[]>),
  ]);
  return bases
    .sort((a, b) => a.at - b.at)
    .map((base) => ({ ...base, commands: steps.filter((step) => step.key === base.key).map((step) => step.command) }));
}
