import { PrismError } from "../../../core/errors.ts";
import type { UserPrincipal } from "../../../core/principal.ts";
import { addEffect } from "../../../store/database.ts";
import type { AuditEntry } from "../../audit/index.ts";
import type { ProjectsContext } from "./context.ts";
import * as queries from "./queries.ts";
import { requireStill } from "./still-may.ts";

/** More keys, or more rules, than this get no audit rows of their own: a transaction is short, for ingest waits for it. */
const MAX_ROWS = 100;

/**
 * Ends a project with its keys, rules and webhooks, in one transaction; its events are removed by a job. All that ends has its audit row;
 * of more than 100 keys, or rules, the project's own row has the count and the first 100 ids instead.
 * @throws PROJECT_NOT_FOUND, also for the second of two deletions at the same time; DEFAULT_PROJECT
 */
export async function deleteProject(context: ProjectsContext, principal: UserPrincipal, ref: string): Promise<void> {
  const { db, audit, clock, projects, jobs } = context;
  const id = projects.require(principal, ref, "project:manage");
  if (id === projects.defaultId) throw new PrismError("DEFAULT_PROJECT", "The default project cannot be deleted");
  await db.write(async (trx) => {
    await requireStill(context, principal, id, "project:manage", trx);
    const now = clock.now();
    await trx.updateTable("projects").set({ deletedAt: now, updatedAt: now }).where("id", "=", id).execute();
    const keys = await queries.revokeKeys(trx, id, now);
    const deleted = await queries.deleteRules(trx, id, now);
    const webhooks = await queries.deleteWebhooks(trx, id);
    const by = { by: "project.delete" };
    for (const entry of [
      ...rowsOf(keys, (key) => ({
        action: "key.revoke",
        resourceType: "apiKey",
        resourceId: key.id,
        metadata: { projectId: id, ...by },
      })),
      ...rowsOf(deleted, (rule) => ({
        action: "rule.delete",
        resourceType: "rule",
        resourceId: rule.id,
        metadata: { version: rule.version, ...by },
      })),
      ...rowsOf(webhooks, (webhook) => ({
        action: "webhook.delete",
        resourceType: "webhook",
        resourceId: webhook.id,
        metadata: { version: webhook.version, projectId: id, ...by },
      })),
      {
        action: "project.delete",
        resourceType: "project",
        resourceId: id,
        metadata: {
          keys: keys.length,
          rules: deleted.length,
          ...(webhooks.length > 0 ? { webhooks: webhooks.length } : {}),
          ...(keys.length > MAX_ROWS ? { first100Keys: firstIds(keys) } : {}),
          ...(deleted.length > MAX_ROWS ? { first100Rules: firstIds(deleted) } : {}),
        },
      },
    ])
      await audit.record(entry, { trx });
    await jobs.enqueue(
      {
        queue: "retention",
        kind: "project.events.delete",
        payload: { projectId: id, before: now + 1 },
        runAt: now,
        dedupeKey: `project:${id}`,
      },
      { trx },
    );
    addEffect(trx, { type: "rules-changed", ruleIds: deleted.map((rule) => rule.id) });
    addEffect(trx, { type: "rights-changed", of: "project", projectId: id });
  });
}

function rowsOf<T>(ended: readonly T[], entryOf: (one: T) => AuditEntry): AuditEntry[] {
  return ended.length > MAX_ROWS ? [] : ended.map(entryOf);
}

function firstIds(ended: readonly { readonly id: string }[]): string[] {
  return ended.slice(0, MAX_ROWS).map(({ id }) => id);
}
