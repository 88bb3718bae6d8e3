import type { PermissionHolder } from "../../../core/caller.ts";
import type { Compared, Step } from "./compare.ts";
import { lastChange } from "./managed.ts";
import type { ConfigurationContext, ReadRequest } from "./reading.ts";
import type { Drift } from "./schema.ts";
import { laterNotes } from "./stand-ins.ts";

/* What a plan says of objects. */

export function slugOf({ slugs }: ReadRequest, projectId: string | null): string | null {
  return projectId === null ? null : (slugs.get(projectId) ?? projectId);
}

export function viewOf(reading: ReadRequest, { kind, projectId, name, wanted, row }: Step) {
  return { kind: kind.kind, project: slugOf(reading, projectId), name, at: wanted?.given.at ?? row?.place ?? null };
}

export function changeView(reading: ReadRequest, step: Step, notes: readonly string[]) {
  return {
    ...viewOf(reading, step),
    op: step.op,
    noun: step.kind.noun,
    members: [...step.members],
    notes: [...laterNotes(step), ...notes],
  };
}

/** Who changed what by hand: names only for those who may read the audit trail. */
export async function driftViews(
  context: ConfigurationContext,
  caller: PermissionHolder,
  reading: ReadRequest,
  { drifted }: Compared,
) {
  const views: Drift[] = [];
  for (const { row, wanted, paths } of drifted) {
    const { kind, name, projectId, place } = row;
    const where = { kind, name, project: slugOf(reading, projectId), at: wanted.given.at ?? place };
    views.push({ ...where, ...(await lastChange(context, caller, row, wanted.kind)), paths: [...paths] });
  }
  return views;
}
