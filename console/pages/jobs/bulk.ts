import type { BulkResult } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { invalidate } from "../../app/query.ts";
import { confirm, plural, toast } from "../../ui/index.ts";
import type { BulkAction, JobFilter } from "./job-types.ts";

type Target = { readonly ids: readonly string[] } | { readonly filter: JobFilter };

/** Runs a request until its last part; each part changes a limited number of jobs. */
async function runAll(action: BulkAction, target: Target, isDryRun: boolean): Promise<number> {
  let changed = 0;
  let cursor: string | null = null;
  do {
    const body: object = { ...target, dryRun: isDryRun, ...(cursor === null ? {} : { cursor }) };
    const result: BulkResult = await api.post<BulkResult>(`/jobs/${action.name}`, body);
    changed += result.changed;
    cursor = result.nextCursor;
  } while (cursor !== null);
  return changed;
}

/** Counts what an action would change, asks, and does it. */
export async function runBulk(action: BulkAction, target: Target): Promise<boolean> {
  const count = await runAll(action, target, true);
  if (count === 0) {
    toast.info(`${action.label}: no job of this selection can be changed.`);
    return false;
  }
  const title = `${action.label}: ${plural(count, "job")}?`;
  const confirmed = await confirm({
    title,
    text: action.text,
    action: `${action.label} ${count}`,
    danger: action.isDangerous === true,
  });
  if (!confirmed) return false;
  const changed = await runAll(action, target, false);
  toast.ok(`${action.label}: ${plural(changed, "job")}.`);
  invalidate("/jobs", "/queues", "/attention");
  return true;
}
