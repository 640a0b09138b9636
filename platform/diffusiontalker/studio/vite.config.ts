/// <reference types="vitest/config" />
import { defineConfig } from "vite";

const ENDPOINT = process.env.DIFFUSIONTALKER_ENDPOINT ?? "http://127.0.0.1:8000";

// Two pages come out of the same sources: the Studio (default), and, with `--mode player`, one classic script that the
// HTML reports of evaluations carry, which must work from the file system.
export default defineConfig(({ command, mode }) => ({
  base: command === "build" ? "./" : "/studio/", // relative: a proxy may put the endpoint below a path of its own
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build:
    mode === "player"
      ? {
          outDir: "page",
          emptyOutDir: false,
          lib: {
            entry: "src/report/player.ts",
            formats: ["iife"],
            name: "DiffusionTalkerPlayer",
            fileName: () => "player.js",
          },
        }
      : { outDir: "page", emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { host: "127.0.0.1", proxy: { "/v1": { target: ENDPOINT, ws: true }, "/studio/head.glb": ENDPOINT } },
  test: { root: "../../..", include: ["tests/unit/studio/**/*.test.{ts,tsx}"], environment: "happy-dom" },
}));
