// Bundles every panel into the Python package: one NAME.js and one NAME.css each, with a limit on their size.
import { statSync } from "node:fs";
import { build } from "esbuild";

const KB = 1000;
const PANELS = {
  accuracy: 60 * KB,
  datasets: 60 * KB,
  login: 60 * KB,
  machine: 60 * KB,
  resources: 60 * KB,
  sweep: 60 * KB,
  task_progress: 60 * KB,
  template_editor: 450 * KB,
};
const target = new URL("../hanami_jupyter/static/", import.meta.url).pathname;

await build({
  absWorkingDir: new URL(".", import.meta.url).pathname,
  entryPoints: Object.keys(PANELS).map((name) => `src/${name}.tsx`),
  outdir: target,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  logLevel: "warning",
});

for (const [name, limit] of Object.entries(PANELS)) {
  const size = ["js", "css"].reduce((sum, end) => sum + statSync(`${target}${name}.${end}`).size, 0);
  console.log(`${name}: ${(size / KB).toFixed(1)} of ${limit / KB} kB`);
  if (size > limit) {
    console.error(`${name} is too large: every saved notebook carries it.`);
    process.exitCode = 1;
  }
}
