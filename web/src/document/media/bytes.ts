/** Reading numbers and texts out of a file, never beyond its end. */

/** A part of a file that is not as its format says: the reader gives up on it, never the page. */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

/** Texts longer than this are no workflow. */
export const MAX_TEXT = 64 << 20;
/** More parts than any real file has; a loop over a hostile one ends here. */
export const MAX_PARTS = 20_000;

export class Bytes {
  readonly view: DataView;

  constructor(readonly data: Uint8Array) {
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  get length(): number {
    return this.data.length;
  }

  u8(at: number): number {
    return this.view.getUint8(this.checked(at, 1));
  }

  u16(at: number, little = false): number {
    return this.view.getUint16(this.checked(at, 2), little);
  }

  u32(at: number, little = false): number {
    return this.view.getUint32(this.checked(at, 4), little);
  }

  u64(at: number, little = false): number {
    return Number(this.view.getBigUint64(this.checked(at, 8), little));
  }

  slice(at: number, length: number): Uint8Array {
    return this.data.subarray(this.checked(at, length), at + length);
  }

  part(at: number, length: number): Bytes {
    return new Bytes(this.slice(at, length));
  }

  /** Four letters, as formats name their parts. */
  name(at: number): string {
    return latin1(this.slice(at, 4));
  }

  startsWith(text: string, at = 0): boolean {
    return at + text.length <= this.length && latin1(this.data.subarray(at, at + text.length)) === text;
  }

  private checked(at: number, length: number): number {
    if (!(at >= 0 && length >= 0 && at + length <= this.data.length))
      throw new Malformed(`there is no byte ${at + length}`);
    return at;
  }
}

export function latin1(data: Uint8Array): string {
  let text = "";
  for (let at = 0; at < data.length; at += 8192) text += String.fromCharCode(...data.subarray(at, at + 8192));
  return text;
}

/** UTF-8 where it is, Latin-1 otherwise: writers do not keep to what formats ask. */
export function decoded(data: Uint8Array): string {
  if (data.length > MAX_TEXT) throw new Malformed("a text is too long");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(data);
  } catch {
    return latin1(data);
  }
}

/** Two bytes a letter. The byte order mark at the start, if there is one, decides; else `big` does. */
export function utf16(data: Uint8Array, big: boolean): string {
  const marked = data.length > 1 && (data[0] === 0xfe || data[0] === 0xff) && data[0]! + data[1]! === 0x1fd;
  const swapped = marked ? data[0] === 0xfe : big;
  const units = new Uint8Array(data.subarray(marked ? 2 : 0));
  // Not every build of a browser's engine knows the other order.
  if (swapped)
    for (let at = 0; at + 1 < units.length; at += 2) [units[at], units[at + 1]] = [units[at + 1]!, units[at]!];
  return new TextDecoder("utf-16le").decode(units);
}
