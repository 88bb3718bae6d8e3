// Generates prism.config.example.json and the table in docs/configuration.md from the settings in
// src/config/options.ts. Run with tsx (npm run config:docs); a test fails if a file differs.
import "./node-version.mjs";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { configTable, exampleConfig } from "../src/config/describe.ts";

const root = join(import.meta.dirname, "..");
const example = JSON.stringify(exampleConfig(), null, 2).replace(
  /\[\s+([^\]]*?)\s+\]/g,
  (_, items) => `[${items.replace(/\s+/g, " ")}]`,
);
writeFileSync(join(root, "prism.config.example.json"), `${example}\n`);

const page = join(root, "docs/configuration.md");
const text = readFileSync(page, "utf8");
const marked = /(<!-- settings -->\n)[\s\S]*?(\n<!-- end of settings -->)/;
if (!marked.test(text)) throw new Error("docs/configuration.md has no markers for the table");
writeFileSync(
  page,
  text.replace(marked, (_, begin, end) => `${begin}${configTable()}${end}`),
);
