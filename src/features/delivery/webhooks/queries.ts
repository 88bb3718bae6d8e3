import type { Insertable, Updateable } from "kysely";
import type { PageRequest } from "../../../http/pagination.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import type { WebhooksTable } from "../../../store/schema.ts";
import { countOf, newestFirst } from "../../../store/sqlite/list-queries.ts";
import type { WebhookRow } from "../channels/webhook/message.ts";

/** Owner of webhooks: a user or a project. */
export type WebhookOwner = { readonly projectId: string } | { readonly userId: string };

/** Newest first: ids are in the order of time. */
export function listWebhooks(db: ReadDb, owner: WebhookOwner, page: PageRequest): Promise<WebhookRow[]> {
  return newestFirst(ownedBy(db, owner).selectAll(), page).execute();
}

export function countWebhooks(db: ReadDb | Trx, owner: WebhookOwner): Promise<number> {
  return countOf(ownedBy(db, owner));
}

/** Whether the project is there at this moment. */
export async function isProject(trx: Trx, id: string): Promise<boolean> {
  const row = await trx
    .selectFrom("projects")
    .select("id")
    .where("id", "=", id)
    .where("deletedAt", "is", null)
    .executeTakeFirst();
  return row !== undefined;
}

export async function insertWebhook(trx: Trx, webhook: Insertable<WebhooksTable>): Promise<void> {
  await trx.insertInto("webhooks").values(webhook).execute();
}

export async function updateWebhook(trx: Trx, id: string, values: Updateable<WebhooksTable>): Promise<void> {
  await trx.updateTable("webhooks").set(values).where("id", "=", id).execute();
}

export async function deleteWebhook(trx: Trx, id: string): Promise<void> {
  await trx.deleteFrom("webhooks").where("id", "=", id).execute();
}

function ownedBy(db: ReadDb | Trx, owner: WebhookOwner) {
  const query = db.selectFrom("webhooks");
  return "projectId" in owner
    ? query.where("projectId", "=", owner.projectId)
    : query.where("userId", "=", owner.userId);
}
