import type { PermissionHolder } from "../../../core/caller.ts";
import { missingPermission } from "../../../http/server/access.ts";
import { changedMembers, configKind } from "../../../module/config-kind.ts";
import { resourceKind } from "../../../module/resource-kind.ts";
import type { Trx } from "../../../store/database.ts";
import { type WebhooksContext, webhooks } from "./manage.ts";
import type { CreateWebhook } from "./schema.ts";
import { Webhook, type WebhookRow } from "./webhook.ts";

type WebhookSpec = Omit<CreateWebhook, "projectId">;

const of = resourceKind<WebhookRow>(Webhook);
/** One that a receiver's 410 disabled is as active as it was set. */
const specOf = (row: WebhookRow) => ({ ...of.specOf(row), active: row.active === 1 || row.disabledAt !== null });

export function webhookKinds(context: WebhooksContext) {
  const found = (trx: Trx, { permissions }: PermissionHolder, id: string) => {
    requirePermission(permissions);
    return Webhook.require(trx, id, "WEBHOOK_NOT_FOUND", "webhook");
  };
  const webhook = configKind<WebhookSpec>({
    ...{ kind: "webhooks", noun: "webhook", resourceType: "webhook", scope: "project", key: "url", after: [] },
    // The path of a URL may be a secret: viewers of the project without `webhooks:manage` do not see it.
    rights: { read: "project:manage", write: "project:manage", also: "webhooks:manage" },
    issues: "a secret",
    entries: of.entries,
    defaults: of.defaults,
    async list(db, projectId) {
      const rows = await of.rows(db, projectId);
      return rows.map((row) => ({ id: row.id, name: row.url, version: row.version, spec: specOf(row) }));
    },
    async prepare(_owner, { url }, stored) {
      context.storage.requireSpace();
      if (url !== stored?.name) await context.fetch.check(url);
    },
    async create(trx, { caller, projectId }, id, spec) {
      requirePermission(caller.permissions);
      const owner = { projectId: projectId ?? "" };
      const { issued } = await webhooks.insert(context, trx, caller, { ...spec, id, owner });
      return issued?.secret === undefined ? undefined : { secret: issued.secret };
    },
    async update(trx, { caller }, { id }, spec) {
      const row = await found(trx, caller, id);
      await webhooks.change(context, trx, row, changedMembers(spec, { spec: specOf(row) }), caller);
      return undefined;
    },
    async remove(trx, { caller }, { id }) {
      await webhooks.remove(context, trx, await found(trx, caller, id), caller, undefined);
    },
  });
  return [webhook];
}

/** @throws UNAUTHORIZED_ROLE */
function requirePermission(permissions: PermissionHolder["permissions"]): void {
  if (!permissions.has("webhooks:manage")) throw missingPermission("webhooks:manage");
}
