import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const COMPRESSED = /\.(js|css|html|svg|json|txt|woff)$/;
/** Below this a second file costs more than it saves. */
const SMALLEST = 512;

/** Browsers ask in the order of the page, over six connections: scripts and styles go before the data that they read. */
function dataLast(page) {
  const hints = page.match(/ *(?:<!--.*-->\n *)?<link rel="preload".*\n/g) ?? [];
  return hints.reduce((text, hint) => text.replace(hint, ""), page).replace(/ *<\/head>/, `${hints.join("")}$&`);
}

/** Put a `.br` and a `.gz` beside each text asset: the server sends them to whoever takes them. */
export function compress() {
  let folder = "";
  return {
    name: "compress",
    apply: "build",
    configResolved(config) {
      folder = resolve(config.root, config.build.outDir);
    },
    // Assets come from this server alone, so nothing is asked for across origins. (Preloads say how they are fetched.)
    transformIndexHtml: { order: "post", handler: (page) => dataLast(page.replace(/ crossorigin(?=[ >])/g, "")) },
    closeBundle() {
      for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
        if (!COMPRESSED.test(name)) continue;
        const data = readFileSync(join(folder, name));
        if (data.length < SMALLEST) continue;
        const options = { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: data.length } };
        writeFileSync(join(folder, `${name}.br`), brotliCompressSync(data, options));
        writeFileSync(join(folder, `${name}.gz`), gzipSync(data, { level: 9 }));
      }
    },
  };
}
