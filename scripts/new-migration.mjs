// Creates the next file of migrations/: npm run db:migrate:new -- add_job_lease. A released file
// never changes; a later change gets a new number.
import "./node-version.mjs";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "..", "migrations");
const [name = ""] = process.argv.slice(2);
if (!/^[a-z][a-z0-9_]{1,49}$/.test(name)) {
  console.error("usage: npm run db:migrate:new -- <name>, of a-z, 0-9 and _");
  process.exit(2);
}
const numbers = readdirSync(folder).map((file) => Number(/^(\d{4})_\w+\.ts$/.exec(file)?.[1] ?? 0));
const next = String(Math.max(0, ...numbers) + 1).padStart(4, "0");
const file = join(folder, `${next}_${name}.ts`);
writeFileSync(file, "/** What it is for. */\nexport const sql = /* sql */ `\n\n`;\n", { flag: "wx" });
// Adds the file to the list of migrations that programs of this tree read.
await import("./collect.mjs");
console.log(
  `migrations/${next}_${name}.ts; put its columns into the resource() of the table, or into src/store/schema/ for a table without one`,
);
