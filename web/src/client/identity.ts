/** Who this window is: known to the server as a client, to the journal as the owner of what is open here. */

const AGAIN_MS = 80;
const TRIES = 4;

/** A random id; also where the page is not in a secure context and the browser's own function is missing. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const lockName = (window: string): string => `safelight-${window}`;

function take(id: string): Promise<boolean> {
  return new Promise((answer) => {
    void navigator.locks.request(lockName(id), { ifAvailable: true }, (lock) => {
      answer(lock !== null);
      // Held until the window goes away, however it does.
      return lock === null ? undefined : new Promise<never>(() => undefined);
    });
  });
}

/** The window's id: the same after a reload, another in a copy of the window. */
export async function claimWindow(): Promise<string> {
  const before = sessionStorage.getItem("window");
  if (!("locks" in navigator)) return remember(before ?? randomId());
  // The page before a reload may hold its lock for a moment longer.
  for (let at = 0; before !== null && at < TRIES; at++) {
    if (await take(before)) return before;
    await new Promise((done) => setTimeout(done, AGAIN_MS));
  }
  for (const name of ["event", "jobs"]) sessionStorage.removeItem(name);
  const fresh = randomId();
  await take(fresh);
  return remember(fresh);
}

function remember(id: string): string {
  sessionStorage.setItem("window", id);
  return id;
}

/** The windows that are open now; undefined where the browser does not tell. */
export async function openWindows(): Promise<ReadonlySet<string> | undefined> {
  if (!("locks" in navigator)) return undefined;
  const { held = [] } = await navigator.locks.query();
  return new Set(held.flatMap((lock) => (lock.name?.startsWith("safelight-") ? [lock.name.slice("safelight-".length)] : [])));
}
