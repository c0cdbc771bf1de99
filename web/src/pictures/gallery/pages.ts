/** The gallery's list: known page by page, each fetched when it comes into view. */
import { Store } from "../../client/store";
import { galleryPage, type GalleryPicture, type GalleryQuery } from "../files";

export const PAGE = 120;

export interface Listing {
  /** Undefined until the first page has come. */
  readonly total: number | undefined;
  readonly workflows: Readonly<Record<string, number>>;
  /** Grows when something has come. */
  readonly version: number;
  /** Whether nothing is being fetched. */
  readonly settled: boolean;
}

export class Pages {
  readonly listing = new Store<Listing>({ total: undefined, workflows: {}, version: 0, settled: false });
  readonly #known = new Map<number, readonly GalleryPicture[]>();
  readonly #asked = new Set<number>();
  readonly #stop = new AbortController();
  #pending = 0;
  #wanted: readonly [number, number] = [0, 1];

  /** With `like`, what was in view there is fetched at once. */
  constructor(
    readonly query: GalleryQuery,
    readonly onError: (error: unknown) => void,
    like?: Pages,
  ) {
    this.want(0, 1);
    if (like !== undefined) this.want(...like.#wanted);
  }

  at(index: number): GalleryPicture | undefined {
    return this.#known.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  /** Everything known from one place to another. */
  range(from: number, to: number): readonly GalleryPicture[] {
    const found: GalleryPicture[] = [];
    for (let index = Math.max(0, from); index <= to; index++) {
      const one = this.at(index);
      if (one !== undefined) found.push(one);
    }
    return found;
  }

  /** Have the pictures from `from` up to `to` fetched. */
  want(from: number, to: number): void {
    this.#wanted = [from, to];
    for (let page = Math.floor(Math.max(0, from) / PAGE); page * PAGE < to; page++) {
      if (this.#asked.has(page)) continue;
      this.#asked.add(page);
      void this.#fetch(page);
    }
  }

  close(): void {
    this.#stop.abort();
  }

  async #fetch(page: number): Promise<void> {
    this.#pending += 1;
    try {
      const { pictures, total, workflows } = await galleryPage(this.query, page * PAGE, PAGE, this.#stop.signal);
      this.#known.set(page, pictures);
      this.#pending -= 1;
      this.listing.update((before) => ({ total, workflows, version: before.version + 1, settled: this.#pending === 0 }));
    } catch (error) {
      this.#pending -= 1;
      this.#asked.delete(page);
      if (!(error instanceof DOMException && error.name === "AbortError")) this.onError(error);
    }
  }
}

/** Which rows of a grid are in view, with some more on both sides. */
export function rowsInView(top: number, height: number, row: number, rows: number, more = 2): readonly [number, number] {
  const first = Math.max(0, Math.floor(top / row) - more);
  return [first, Math.min(rows, Math.ceil((top + height) / row) + more)];
}
