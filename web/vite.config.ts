import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The server serves this folder; the build hook of the package fills it.
export default defineConfig({
  plugins: [react()],
  base: "./",
  build: {
    outDir: "../engine/server/static",
    emptyOutDir: true,
    target: "es2023",
    modulePreload: { polyfill: false },
  },
});
