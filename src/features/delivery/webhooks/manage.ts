import type * as v from "valibot";
import { redactText } from "../../../config/logger.ts";
import type { PermissionHolder, Principal } from "../../../core/caller.ts";
import { limitReached, PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import { ofOwner, type RowOwner } from "../../../http/api/listing.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import { missingPermission, requireAccount, requireHolder } from "../../../http/server/access.ts";
import type { Context } from "../../../module/feature.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { countOf } from "../../../store/sqlite/list-queries.ts";
import { findProject, managed, type WithIssued } from "../../access/index.ts";
import { asPrevious, newSecret } from "../../channels/webhook/message.ts";
import type { SafeFetch } from "../../channels/webhook/safe-fetch.ts";
import { lastResults } from "../operate/queries.ts";
import * as s from "./schema.ts";
import { Webhook, type WebhookRow, webhookAccess, webhookList } from "./webhook.ts";

export type WebhooksContext = Context<"projects"> & { readonly fetch: SafeFetch };

type WithSecret = Pick<v.InferOutput<ReturnType<typeof s.WebhookWithSecret>>, "secret">;

interface NewWebhook extends Omit<s.CreateWebhook, "projectId"> {
  readonly owner: RowOwner;
  /** Default: a new one. */
  readonly id?: string;
}

const access = { permission: "webhooks:manage" } as const;

export const webhooks = managed({
  ...{ path: s.PATH, names: ["Webhook", "Webhooks"], tag: "Webhooks", params: s.WebhookParams },
  access: webhookAccess,
  callers: { read: access, write: access },
  answer: () => Webhook.View,
  list: {
    summary: "List the webhooks of the caller, of a project or of all, newest first",
    errors: ["PROJECT_NOT_FOUND", "UNAUTHORIZED_ROLE", "INVALID_CURSOR"],
    query: s.ListWebhooks,
    answer: () => pageOf(s.ListedWebhook()),
    page: listPage,
  },
  get: { summary: "Get a webhook, without its secret" },
  create: {
    summary: "Create a webhook for the caller or a project; its secret is returned only once",
    errors: ["PROJECT_NOT_FOUND", "URL_REFUSED", "LIMIT_REACHED"],
    body: s.CreateWebhook,
    answer: s.WebhookWithSecret,
    async prepare(context: WebhooksContext, caller, { projectId, ...input }): Promise<NewWebhook> {
      context.storage.requireSpace();
      const owner = ownerOf(context, caller, projectId);
      await context.fetch.check(input.url);
      return { owner, ...input };
    },
  },
  update: {
    method: "PUT",
    summary: "Update a webhook, enable it again, or rotate its secret",
    errors: ["URL_REFUSED"],
    body: s.UpdateWebhook,
    answer: s.WebhookWithSecret,
    async prepare(context, caller, body, id) {
      context.storage.requireSpace();
      // Who may not see it must not make this server resolve names.
      await webhookAccess.visible(context.projects, caller, id, context.db.read);
      if (body.url !== undefined) await context.fetch.check(body.url);
      return body;
    },
  },
  remove: { summary: "Delete a webhook with its pending deliveries" },
  view: ({ clock }, _caller: Principal, row: WebhookRow) => s.webhookView(row, clock.now()),
  // Failures are counted, and an old secret ends, without a new version.
  state: ({ failures, previousSecretUntil }) => ({ failures, previousSecretUntil }),
  in: {
    async insert(
      context,
      trx,
      { userId: createdBy },
      { owner, id = uuidv7(), ...input },
    ): Promise<WithIssued<WebhookRow, WithSecret>> {
      if ("projectId" in owner && !(await findProject(trx, owner.projectId)))
        throw new PrismError("PROJECT_NOT_FOUND", "No such project");
      await requireRoom(context, owner, createdBy, trx);
      const { text, sealed: secret } = newSecret(context.box, id);
      const now = context.clock.now();
      const row = Webhook.newRow(input, { ...owner, id, secret, createdBy, createdAt: now, updatedAt: now });
      await trx.insertInto("webhooks").values(row).execute();
      await recordWebhook(context, "create", row, trx);
      return { row, issued: { secret: text } };
    },
    async change(context, trx, old, body) {
      const { rotateSecret, graceMs = s.DEFAULT_GRACE_MS, ...input } = body;
      const rotation = rotateSecret === true ? rotationOf(context, old, graceMs) : null;
      const row: WebhookRow = {
        ...old,
        ...Webhook.columns(input),
        ...(input.active === true ? { failures: 0, disabledAt: null } : {}),
        ...rotation?.values,
        version: old.version + 1,
        updatedAt: context.clock.now(),
      };
      await trx.updateTable("webhooks").set(row).where("id", "=", row.id).execute();
      await recordWebhook(context, "update", row, trx, { members: Object.keys(body) });
      return rotation ? { row, issued: { secret: rotation.secret } } : { row };
    },
    async remove(context, trx, row) {
      await trx.deleteFrom("webhooks").where("id", "=", row.id).execute();
      await recordWebhook(context, "delete", row, trx);
    },
  },
});

function listPage(
  context: WebhooksContext,
  caller: Principal,
  { projectId, scope = "own", include, ...query }: s.ListWebhooks,
) {
  const { db, clock, projects } = context;
  const holder = requireHolder(caller);
  if (scope === "all" && !holder.permissions.has("projects:all")) throw missingPermission("projects:all");
  const owner = scope === "all" && projectId === undefined ? null : ownerOf(context, holder, projectId);
  return webhookList.page(db, { visible: ofOwner(owner), state: undefined }, query, async (rows) => {
    const ids = rows.map(({ id }) => id);
    const results = include === "result" ? await lastResults(db.scan, ids) : null;
    return (row) => {
      const result = results?.get(row.id);
      const lastResult = result
        ? { state: result.state, at: toRfc3339(result.at), error: result.lastError && redactText(result.lastError) }
        : null;
      const shown = s.webhookView(row, clock.now());
      // The path of another user's URL may be a secret.
      const url = webhookAccess.has(projects, caller, row) ? shown.url : `${new URL(shown.url).origin}/…`;
      return { ...shown, url, ...(results ? { lastResult } : {}) };
    };
  });
}

function ownerOf({ projects }: WebhooksContext, caller: PermissionHolder, projectRef: string | undefined): RowOwner {
  if (projectRef === undefined) return { userId: requireAccount(caller).userId };
  return { projectId: projects.require(caller, projectRef, "events:read") };
}

async function requireRoom(
  { projects, settings }: WebhooksContext,
  owner: RowOwner,
  createdBy: string | null,
  trx: Trx,
): Promise<void> {
  if ("projectId" in owner) return projects.quotas.requireRoom(trx, "webhooks", { ...owner, createdBy });
  const { webhooksPerOwner } = settings.limits;
  if ((await countOf(trx.selectFrom("webhooks").where(ofOwner(owner)))) >= webhooksPerOwner)
    throw limitReached("A user has too many webhooks", "limits.webhooksPerOwner", webhooksPerOwner);
}

function rotationOf({ clock, box }: WebhooksContext, old: WebhookRow, graceMs: number) {
  const { text, sealed } = newSecret(box, old.id);
  const previous =
    graceMs === 0
      ? { previousSecret: null, previousSecretUntil: null }
      : { previousSecret: asPrevious(box, old), previousSecretUntil: clock.now() + graceMs };
  return { secret: text, values: { secret: sealed, ...previous } };
}

/** Records a change. Pages that wait for its owner are tried after it. */
export async function recordWebhook(
  context: WebhooksContext,
  verb: "create" | "update" | "delete" | "test",
  { id, projectId, userId, version }: WebhookRow,
  trx: Trx,
  more: Readonly<Record<string, string[]>> = {},
): Promise<void> {
  if (userId !== null && (verb === "create" || verb === "update")) addEffect(trx, { type: "ways-changed", userId });
  const metadata = { version, projectId, ...more };
  await context.audit.record({ action: `webhook.${verb}`, resourceType: "webhook", resourceId: id, metadata }, { trx });
}
