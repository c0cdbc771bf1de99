import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { compress } from "./build/compress.mjs";

/** Where `vite` finds the server's routes during development: `SAFELIGHT_SERVER=http://127.0.0.1:8188 npm run dev`. */
const server = process.env.SAFELIGHT_SERVER ?? "http://127.0.0.1:8188";

// The server serves this folder; the build hook of the package fills it.
export default defineConfig({
  plugins: [react(), compress()],
  base: "/",
  server: { proxy: { "^/(?!src|node_modules|@|index.html|$)": { target: server, ws: true } } },
  build: {
    outDir: "../engine/server/static",
    emptyOutDir: true,
    target: "es2023",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 900,
    // Few files: what the first screen needs in two, each panel and the graph in one of its own.
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: "react", test: /node_modules[\\/](react|react-dom|scheduler)[\\/]/ },
            { name: "shell", test: /src[\\/](client|i18n[\\/]index|document|shell[\\/](?!panels|GraphScreen|finders|memory[\\/](EstimateSheet|Gauges|readings)|versions[\\/](?!compared)))/ },
          ],
        },
      },
    },
  },
});
