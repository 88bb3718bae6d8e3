/*
 * Makes an empty database of Uptime Kuma by its own migrations, for the tests of its import:
 *
 *   git clone --depth 1 https://github.com/louislam/uptime-kuma && npm install --prefix uptime-kuma --omit=dev
 *   node scripts/uptime-kuma-database.mjs uptime-kuma /tmp/kuma.db
 *   TEST_KUMA_DATABASE=/tmp/kuma.db node scripts/test.mjs remote/import/uptime-kuma
 */
import "./node-version.mjs";
import { copyFileSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import Database from "better-sqlite3";

const [checkout, file] = process.argv.slice(2).map((path) => resolve(path));
if (checkout === undefined || file === undefined) throw new Error("give the checkout, and the file to write");

copyFileSync(join(checkout, "db/kuma.db"), file);
const database = new Database(file);
// One of the patches writes into the schema itself.
database.unsafeMode();
const { value = "0" } = database.prepare("select value from setting where key = 'database_version'").get() ?? {};
const numbered = Array.from({ length: 10 }, (_, at) => at + 1).filter((version) => version > Number(value));
const [, list = ""] =
  /patchList = \{(.*?)\n {4}\};/s.exec(readFileSync(join(checkout, "server/database.js"), "utf8")) ?? [];
const named = [...list.matchAll(/"(patch-[\w-]+\.sql)": /g)].map(([, name]) => name);
for (const name of [...numbered.map((version) => `patch${version}.sql`), ...named])
  database.exec(readFileSync(join(checkout, "db/old_migrations", name), "utf8"));
database.close();

const { default: knex } = await import(createRequire(join(checkout, "package.json")).resolve("knex"));
const db = knex({
  ...{ client: "better-sqlite3", connection: { filename: file }, useNullAsDefault: true },
  migrations: { directory: join(checkout, "db/knex_migrations") },
});
const [, made] = await db.migrate.latest();
await db.destroy();
console.log(`${named.length + numbered.length} patches and ${made.length} migrations: ${file}`);
