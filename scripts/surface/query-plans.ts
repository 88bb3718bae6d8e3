// The query plans of all statements that the recorded servers and commands have compiled, on a fresh
// database. Beside the recording, query-plans.statements has a statement for each.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import SqliteDatabase from "better-sqlite3";
import type { Context } from "./lib/context.ts";
import { plansOf } from "./lib/plans.ts";

export async function record(context: Context): Promise<void> {
  const statements = context.allStatements();
  const dir = join(context.scratch, "data");
  await context.run(["migrate", "--data-dir", dir]);
  const database = new SqliteDatabase(join(dir, "prism.db"), { readonly: true });
  const plans = plansOf(database, statements);
  database.close();
  context.write("plans.txt", [...plans.keys()].join("\n\n"));
  writeFileSync(context.statementsFile, [...plans].map(([plan, sql]) => `${plan}\n    ${sql}\n`).join("\n"));
}
