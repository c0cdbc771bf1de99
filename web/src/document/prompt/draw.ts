/**
 * Draws that depend on what they are made from alone, the same as the engine makes them: BLAKE2b of a text seeds a
 * Mersenne Twister.
 */

const IV = [
  0x6a09e667f3bcc908n,
  0xbb67ae8584caa73bn,
  0x3c6ef372fe94f82bn,
  0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n,
  0x9b05688c2b3e6c1fn,
  0x1f83d9abfb41bd6bn,
  0x5be0cd19137e2179n,
];
const SIGMA = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];
const COLUMNS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;
const WORD = 0xffffffffffffffffn;

/** BLAKE2b (RFC 7693) with eight bytes of result, as a whole number with the first byte on top. */
export function digest(text: string): bigint {
  const data = new TextEncoder().encode(text);
  const state = [...IV];
  state[0]! ^= 0x01010000n ^ 8n;
  const blocks = Math.max(1, Math.ceil(data.length / 128));
  for (let block = 0; block < blocks; block++) {
    const padded = new Uint8Array(128);
    padded.set(data.subarray(block * 128, block * 128 + 128));
    const last = block === blocks - 1;
    compress(state, new DataView(padded.buffer), BigInt(last ? data.length : (block + 1) * 128), last);
  }
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, state[0]!, true);
  return view.getBigUint64(0);
}

function compress(state: bigint[], block: DataView, count: bigint, last: boolean): void {
  const v = [...state, ...IV];
  v[12]! ^= count;
  if (last) v[14]! ^= WORD;
  const rotated = (value: bigint, by: bigint) => ((value >> by) | (value << (64n - by))) & WORD;
  for (let round = 0; round < 12; round++) {
    const order = SIGMA[round % 10]!;
    for (const [step, [a, b, c, d]] of COLUMNS.entries()) {
      const x = block.getBigUint64(8 * order[2 * step]!, true);
      const y = block.getBigUint64(8 * order[2 * step + 1]!, true);
      v[a] = (v[a]! + v[b]! + x) & WORD;
      v[d] = rotated(v[d]! ^ v[a], 32n);
      v[c] = (v[c]! + v[d]) & WORD;
      v[b] = rotated(v[b]! ^ v[c], 24n);
      v[a] = (v[a] + v[b] + y) & WORD;
      v[d] = rotated(v[d] ^ v[a], 16n);
      v[c] = (v[c] + v[d]) & WORD;
      v[b] = rotated(v[b] ^ v[c], 63n);
    }
  }
  for (let word = 0; word < 8; word++) state[word]! ^= v[word]! ^ v[word + 8]!;
}

/** The Mersenne Twister MT19937, seeded by the 32-bit words of a number from the lowest. */
class Twister {
  private readonly state = new Uint32Array(624);
  private at = 624;

  constructor(seed: bigint) {
    const key: number[] = [];
    for (let rest = seed; rest > 0n || key.length === 0; rest >>= 32n) key.push(Number(rest & 0xffffffffn));
    const s = this.state;
    s[0] = 19650218;
    for (let place = 1; place < 624; place++)
      s[place] = Math.imul(1812433253, s[place - 1]! ^ (s[place - 1]! >>> 30)) + place;
    let place = 1;
    const turn = (factor: number, add: (step: number) => number, steps: number) => {
      for (let step = 0; step < steps; step++) {
        s[place] = (s[place]! ^ Math.imul(s[place - 1]! ^ (s[place - 1]! >>> 30), factor)) + add(step);
        if (++place === 624) {
          s[0] = s[623]!;
          place = 1;
        }
      }
    };
    turn(1664525, (step) => key[step % key.length]! + (step % key.length), Math.max(624, key.length));
    turn(1566083941, () => -place, 623);
    s[0] = 0x80000000;
  }

  bits(count: number): number {
    if (this.at === 624) this.refill();
    let y = this.state[this.at++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return (y >>> 0) >>> (32 - count);
  }

  private refill(): void {
    const s = this.state;
    for (let place = 0; place < 624; place++) {
      const y = (s[place]! & 0x80000000) | (s[(place + 1) % 624]! & 0x7fffffff);
      s[place] = s[(place + 397) % 624]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.at = 0;
  }
}

/** A function that chooses one of several, the same ones in the same order for the same text. */
export function chooser(text: string): (options: readonly string[]) => string {
  const twister = new Twister(digest(text));
  return (options) => {
    const bits = 32 - Math.clz32(options.length);
    let drawn = twister.bits(bits);
    while (drawn >= options.length) drawn = twister.bits(bits);
    return options[drawn]!;
  };
}
