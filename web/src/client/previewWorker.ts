/** Decodes live pictures away from the page's thread. */

interface Order {
  readonly number: number;
  readonly picture: Blob;
}

addEventListener("message", ({ data }: MessageEvent<Order>) => void decode(data));

async function decode({ number, picture }: Order): Promise<void> {
  try {
    const frame = await createImageBitmap(picture);
    postMessage({ number, frame }, { transfer: [frame] });
  } catch {
    // A picture that is broken is not shown; the next one may be whole.
    postMessage({ number });
  }
}
