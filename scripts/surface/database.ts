// A fresh database: its tables, indexes and triggers as SQLite has them.
import { join } from "node:path";
import SqliteDatabase from "better-sqlite3";
import type { Context } from "./lib/context.ts";

export async function record(context: Context): Promise<void> {
  const dir = join(context.scratch, "data");
  const { status, stderr } = await context.run(["migrate", "--data-dir", dir]);
  if (status !== 0) throw new Error(stderr);
  const database = new SqliteDatabase(join(dir, "prism.db"), { readonly: true });
  const rows = database
    .prepare<[], string>(
      "select type || ' ' || name || char(10) || coalesce(sql, '-') from sqlite_master order by type, name",
    )
    .pluck()
    .all();
  context.write("schema.txt", rows.join("\n\n"));
  const pragmas = ["application_id", "user_version", "page_size", "journal_mode", "auto_vacuum", "encoding"];
  context.write("pragmas.txt", pragmas.map((name) => `${name} ${database.pragma(name, { simple: true })}`).join("\n"));
  context.write(
    "migrations.txt",
    database.prepare<[], string>("select name from migrations order by name").pluck().all().join("\n"),
  );
  database.close();
}
