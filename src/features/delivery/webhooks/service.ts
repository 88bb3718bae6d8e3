import { redactText } from "../../../config/logger.ts";
import { limitReached, PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { Slots } from "../../../core/limits/slots.ts";
import { type PermissionHolder, personKey } from "../../../core/principal.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import { ofOwner, type RowOwner } from "../../../http/api/listing.ts";
import { requireVersion } from "../../../http/body/negotiation.ts";
import { missingPermission, requireAccount } from "../../../http/server/access.ts";
import type { Context } from "../../../module/feature.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { countOf } from "../../../store/sqlite/list-queries.ts";
import { findProject } from "../../access/index.ts";
import { asPrevious, callWebhook, newSecret } from "../../channels/webhook/message.ts";
import type { SafeFetch } from "../../channels/webhook/safe-fetch.ts";
import { notificationView, UNTOUCHED } from "../../notifications/index.ts";
import { lastResults } from "../operate/queries.ts";
import {
  type CreateWebhook,
  DEFAULT_GRACE_MS,
  type ListWebhooks,
  type TestView,
  type UpdateWebhook,
  webhookView,
} from "./schema.ts";
import { Webhook, type WebhookRow, webhookAccess, webhookList } from "./webhook.ts";

/** A webhook's change and its audit row share a transaction. */
export type WebhooksContext = Context<"projects"> & { readonly fetch: SafeFetch };

/** A webhook, with its secret if that was just created. */
export interface Changed {
  readonly webhook: WebhookRow;
  readonly secret?: string;
}

/** @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, INVALID_CURSOR */
export async function listWebhooks(
  context: WebhooksContext,
  principal: PermissionHolder,
  { projectId, scope = "own", include, ...query }: ListWebhooks,
) {
  const { db, clock } = context;
  if (scope === "all" && !principal.permissions.has("projects:all")) throw missingPermission("projects:all");
  const owner = scope === "all" && projectId === undefined ? null : ownerOf(context, principal, projectId);
  return webhookList.page(db, { visible: ofOwner(owner), state: undefined }, query, async (rows) => {
    const ids = rows.map(({ id }) => id);
    const results = include === "result" ? await lastResults(db.scan, ids) : null;
    return (row) => {
      const result = results?.get(row.id);
      const lastResult = result
        ? { state: result.state, at: toRfc3339(result.at), error: result.lastError && redactText(result.lastError) }
        : null;
      const shown = webhookView(row, clock.now());
      // The path of another user's URL may be a secret.
      const url = webhookAccess.has(context.projects, principal, row) ? shown.url : `${new URL(shown.url).origin}/…`;
      return { ...shown, url, ...(results ? { lastResult } : {}) };
    };
  });
}

/** @throws WEBHOOK_NOT_FOUND, also for one that is not the caller's */
export function getWebhook(context: WebhooksContext, principal: PermissionHolder, id: string): Promise<WebhookRow> {
  return webhookAccess.visible(context.projects, principal, id, context.db.read);
}

/** @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, URL_REFUSED, LIMIT_REACHED */
export async function createWebhook(
  context: WebhooksContext,
  principal: PermissionHolder,
  { url, eventTypes, active, projectId }: CreateWebhook,
): Promise<Changed> {
  const { db, clock, storage, box } = context;
  storage.requireSpace();
  const owner = ownerOf(context, principal, projectId);
  await context.fetch.check(url);
  return db.write(async (trx) => {
    if ("projectId" in owner && !(await findProject(trx, owner.projectId)))
      throw new PrismError("PROJECT_NOT_FOUND", "No such project");
    await requireRoom(context, owner, principal, trx);
    const id = uuidv7();
    const secret = newSecret(box, id);
    const now = clock.now();
    const webhook: WebhookRow = {
      ...Webhook.initial,
      ...Webhook.columns({ eventTypes, active }),
      ...owner,
      ...{ id, url, secret: secret.sealed, createdBy: principal.userId, createdAt: now, updatedAt: now },
    };
    await trx.insertInto("webhooks").values(webhook).execute();
    addChanged(trx, webhook);
    await recordAudit(context, "webhook.create", webhook, trx);
    return { webhook, secret: secret.text };
  });
}

async function requireRoom(
  { projects, settings }: WebhooksContext,
  owner: RowOwner,
  { userId }: PermissionHolder,
  trx: Trx,
): Promise<void> {
  if ("projectId" in owner) return projects.quotas.requireRoom(trx, "webhooks", { ...owner, createdBy: userId });
  const { webhooksPerOwner } = settings.limits;
  if ((await countOf(trx.selectFrom("webhooks").where(ofOwner(owner)))) >= webhooksPerOwner)
    throw limitReached("A user has too many webhooks", "limits.webhooksPerOwner", webhooksPerOwner);
}

/** @throws WEBHOOK_NOT_FOUND, VERSION_CONFLICT, URL_REFUSED */
export async function updateWebhook(
  context: WebhooksContext,
  principal: PermissionHolder,
  id: string,
  ifMatch: string,
  input: UpdateWebhook,
): Promise<Changed> {
  const { db, clock, storage } = context;
  storage.requireSpace();
  await getWebhook(context, principal, id);
  // Outside the transaction: it resolves a name.
  if (input.url !== undefined) await context.fetch.check(input.url);
  return db.write(async (trx) => {
    const old = await webhookAccess.visible(context.projects, principal, id, trx);
    requireVersion(ifMatch, old.version);
    const { url, eventTypes, active } = input;
    const rotation = input.rotateSecret === true ? rotationOf(context, old, input.graceMs ?? DEFAULT_GRACE_MS) : null;
    const webhook: WebhookRow = {
      ...old,
      ...Webhook.columns({ url, eventTypes, active }),
      ...(active === true ? { failures: 0, disabledAt: null } : {}),
      ...rotation?.values,
      version: old.version + 1,
      updatedAt: clock.now(),
    };
    await trx.updateTable("webhooks").set(webhook).where("id", "=", id).execute();
    addChanged(trx, webhook);
    await recordAudit(context, "webhook.update", webhook, trx, { members: Object.keys(input) });
    return rotation ? { webhook, secret: rotation.secret } : { webhook };
  });
}

/** Pages that wait for its owner are tried now. */
function addChanged(trx: Trx, { userId }: { readonly userId: string | null }): void {
  if (userId !== null) addEffect(trx, { type: "ways-changed", userId });
}

/** @throws WEBHOOK_NOT_FOUND */
export async function deleteWebhook(context: WebhooksContext, principal: PermissionHolder, id: string): Promise<void> {
  await context.db.write(async (trx) => {
    const webhook = await webhookAccess.visible(context.projects, principal, id, trx);
    await trx.deleteFrom("webhooks").where("id", "=", id).execute();
    await recordAudit(context, "webhook.delete", webhook, trx);
  });
}

/** Records that a user starts a test of the webhook. @throws WEBHOOK_NOT_FOUND */
export function beginTest(context: WebhooksContext, principal: PermissionHolder, id: string): Promise<WebhookRow> {
  return context.db.write(async (trx) => {
    const webhook = await webhookAccess.visible(context.projects, principal, id, trx);
    await recordAudit(context, "webhook.test", webhook, trx);
    return webhook;
  });
}

function rotationOf(context: WebhooksContext, old: WebhookRow, graceMs: number) {
  const { clock, box } = context;
  const { text, sealed } = newSecret(box, old.id);
  const previous =
    graceMs === 0
      ? { previousSecret: null, previousSecretUntil: null }
      : { previousSecret: asPrevious(box, old), previousSecretUntil: clock.now() + graceMs };
  return { secret: text, values: { secret: sealed, ...previous } };
}

function ownerOf(context: WebhooksContext, principal: PermissionHolder, projectRef: string | undefined): RowOwner {
  if (projectRef === undefined) return { userId: requireAccount(principal).userId };
  return { projectId: context.projects.require(principal, projectRef, "events:read") };
}

async function recordAudit(
  context: WebhooksContext,
  action: "webhook.create" | "webhook.update" | "webhook.delete" | "webhook.test",
  { id, projectId, version }: WebhookRow,
  trx: Trx,
  more: Readonly<Record<string, string[]>> = {},
): Promise<void> {
  const metadata = { version, projectId, ...more };
  await context.audit.record({ action, resourceType: "webhook", resourceId: id, metadata }, { trx });
}

/** Calls webhooks for users who test them. The result is not counted: it is no delivery. */
export class WebhookTester {
  readonly #context: WebhooksContext;
  /** Each holds a request open for up to ten seconds. */
  readonly #slots = new Slots({ total: 8, perOwner: 4, what: "tests of webhooks" });

  constructor(context: WebhooksContext) {
    this.#context = context;
  }

  /** @throws WEBHOOK_NOT_FOUND, URL_REFUSED, RATE_LIMITED, OVERLOADED */
  async run(principal: PermissionHolder, id: string): Promise<TestView> {
    // Callers without the right must not take the slots of others.
    await webhookAccess.visible(this.#context.projects, principal, id, this.#context.db.read);
    return this.#slots.run(personKey(principal), () => this.#call(principal, id));
  }

  async #call(principal: PermissionHolder, id: string): Promise<TestView> {
    const { clock } = this.#context;
    const webhook = await beginTest(this.#context, principal, id);
    const webhookId = uuidv7();
    const at = clock.now();
    try {
      const data = testNotification(webhookId, principal.userId ?? "", webhook.projectId, at);
      const { status } = await callWebhook(this.#context, webhook, { id: webhookId, at, data });
      const delivered = status >= 200 && status < 300;
      return { webhookId, delivered, status, error: delivered ? null : `the webhook answered ${status}` };
    } catch (error) {
      if (error instanceof PrismError) throw error;
      return {
        webhookId,
        delivered: false,
        status: null,
        error: error instanceof Error ? error.message : String(error),
      };
    }
  }
}

/** Looks like any other notification; it is neither stored nor sent elsewhere. */
function testNotification(id: string, userId: string, projectId: string | null, createdAt: number) {
  const notification = {
    id,
    ruleId: null,
    eventId: null,
    projectId,
    kind: "direct",
    title: "Test",
    message: "Prism can reach this webhook.",
    sound: null,
    action: null,
    data: JSON.stringify({ test: true }),
    priority: 0,
    aggregateCount: 1,
    delivered: 0,
    pusherEventSent: 0,
    correlationId: id,
    createdAt,
    deliveredAt: null,
  } as const;
  return notificationView(notification, { ...UNTOUCHED, userId, seq: 0 }, null, () => null);
}
