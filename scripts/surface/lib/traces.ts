import { join } from "node:path";
import SqliteDatabase from "better-sqlite3";
import type { Context } from "./context.ts";

/** What a data directory has at the end of a recording: recorded actions and jobs, by kind. */
const TABLES = {
  "audit-actions.txt": "select distinct action || ' ' || coalesce(resourceType, '-') as line from audit_log",
  "job-kinds.txt": "select distinct queue || ' ' || kind as line from jobs",
} as const;

/** Its rows come and go with the state of a provider. */
const VOLATILE = ["prism_delivery_paused"];

/**
 * Writes which audit actions, kinds of jobs and metrics a server has after it was used.
 * @param dir its data directory
 * @param metrics what /metrics has answered
 */
export function recordTraces(context: Context, dir: string, metrics: string): void {
  const database = new SqliteDatabase(join(dir, "prism.db"), { readonly: true });
  for (const [name, sql] of Object.entries(TABLES))
    context.write(name, database.prepare<[], string>(sql).pluck().all().sort().join("\n"));
  database.close();
  context.write("metrics.txt", metricsOf(metrics).join("\n"));
}

/** Help, type and names of labels of each metric. */
function metricsOf(text: string): string[] {
  const heads = text.split("\n").filter((line) => line.startsWith("# "));
  const samples = text.matchAll(/^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? /gm);
  const labels = [...samples].map(([, name = "", inside = ""]) => {
    const names = [...inside.matchAll(/(\w+)="/g)].map(([, label]) => label);
    return `${name}{${names.join(",")}}`;
  });
  const kept = labels.filter((line) => !VOLATILE.includes(line.slice(0, line.indexOf("{"))));
  return [...heads, ...new Set(kept)].sort();
}
