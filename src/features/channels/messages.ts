import { UnsealError } from "../../core/crypto/sealed-box.ts";
import { type EpochMs, HOUR_MS } from "../../core/time/clock.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import { NoAnswer, Refused, TargetGone, Throttled } from "../delivery/index.ts";
import { PermanentError } from "../time/jobs/index.ts";
import type { ChannelRow } from "./channel.ts";
import { type NoticeText, noticeOf } from "./notice.ts";
import { errorRowsOf, type Preset, requestOf, type SendingStep } from "./preset.ts";
import { type ChannelsContext, type OpenChannel, perform, type SendOutcome } from "./sending/sender.ts";
import {
  findChannel,
  findMessage,
  openFields,
  openRef,
  requireMessage,
  sealRef,
  storedFields,
  type Texts,
  updateChannel,
  updateMessage,
} from "./store.ts";
import { compile, render } from "./templates/template.ts";

/* One message to one channel: which request it needs, and what is kept of the answer. */

/** The templates that a channel has itself. */
export interface OwnTemplate {
  readonly title?: string | undefined;
  readonly message?: string | undefined;
  readonly request?: unknown;
  readonly ok?: Preset["ok"] | undefined;
  readonly errors?: unknown;
}

export interface OpenedChannel extends OpenChannel {
  readonly row: ChannelRow;
  readonly own: OwnTemplate;
}

/**
 * A channel with its secrets. @param isPage it waits until it is enabled again. @throws TargetGone,
 * PermanentError
 */
export async function openChannel(context: ChannelsContext, id: string, isPage = false): Promise<OpenedChannel> {
  const row = await findChannel(context.db.read, id);
  if (!row) throw new TargetGone("the channel has been deleted");
  if (row.active === 0) throw new (isPage ? PermanentError : TargetGone)("the channel is disabled");
  return opened(context, row);
}

/** @throws PermanentError without its preset, or if no key opens its secrets */
export async function opened({ book, box }: ChannelsContext, row: ChannelRow): Promise<OpenedChannel> {
  const preset = await book.get(row.preset);
  if (!preset) throw new PermanentError(`there is no preset ${row.preset}`);
  try {
    return openWith(preset, row, openFields(box, row));
  } catch (error) {
    throw error instanceof UnsealError ? new PermanentError(error.message, { cause: error }) : error;
  }
}

export function openWith(preset: Preset, row: ChannelRow, given: Texts): OpenedChannel {
  const own = (row.template === null ? {} : JSON.parse(row.template)) as OwnTemplate;
  const defaults = preset.fields.flatMap(({ key, default: value }) => (value === undefined ? [] : [[key, value]]));
  const fields = { ...(Object.fromEntries(defaults) as Texts), ...given };
  const { ok = preset.ok } = preset.custom ? own : {};
  const errors = preset.custom && own.errors ? errorRowsOf(own.errors) : preset.errors;
  const request = preset.custom && own.request !== undefined ? requestOf(own.request) : undefined;
  return { id: row.id, preset: { ...preset, ok, errors }, fields, request, row, own };
}

/** The message with the channel's own texts. */
export function ownTexts({ own }: OpenedChannel, n: NoticeText): NoticeText {
  if (own.title === undefined && own.message === undefined) return n;
  const filled = (source: string | undefined, otherwise: string): string =>
    source === undefined ? otherwise : render(compile(source), { n }).text;
  return noticeOf({ ...n, title: filled(own.title, n.title), message: filled(own.message, n.message) });
}

/** How a message continues an earlier one. */
export interface Continuation {
  /** Ids of the earlier message. */
  readonly ref: Texts | undefined;
  /** Whether an earlier message about the same alert was sent. */
  readonly isKnown: boolean;
  /** A change of the earlier message is enough: readers need no new one. */
  readonly isChange: boolean;
}

/** The steps that bring a message to a channel: the first, and the one if its message is missing. */
export function stepsOf(
  preset: Preset,
  { status }: Pick<NoticeText, "status">,
  { ref, isKnown, isChange }: Continuation,
  sendResolved: boolean,
): readonly SendingStep[] {
  // A module decides by the message's status and the ref.
  if (preset.code) return ["send"];
  const hasRef = ref !== undefined;
  const later: SendingStep[] = [];
  if (hasRef && preset.update) later.push("update");
  else if (hasRef && preset.thread) later.push("thread");
  switch (status) {
    case "acknowledged":
      return preset.acknowledge ? (isKnown ? ["acknowledge"] : []) : later;
    case "resolved":
      // A service may have nothing open to resolve; readers get a message then.
      if (preset.resolve) return sendResolved ? ["resolve", "send"] : ["resolve"];
      return sendResolved ? [...later, "send"] : later;
    case "escalated":
      return preset.acknowledge ? ["send"] : [...later, "send"];
    default:
      return isChange ? [...later, "send"] : ["send"];
  }
}

export interface MessageOptions {
  readonly id: string;
  readonly continues: Continuation;
  readonly signal?: AbortSignal;
  /** The channel's rate was asked for it already; otherwise it is asked as for a page. */
  readonly hasTurn?: boolean;
}

/** Sends a message by its steps. @returns null if there is nothing to send */
export async function sendMessage(
  { sender }: ChannelsContext,
  channel: OpenedChannel,
  n: NoticeText,
  { id, continues, signal, hasTurn = false }: MessageOptions,
): Promise<SendOutcome | null> {
  const steps = stepsOf(channel.preset, n, continues, channel.row.sendResolved === 1);
  const options = { n: ownTexts(channel, n), id, ref: continues.ref, signal };
  for (const [at, step] of steps.entries()) {
    if (at > 0) sender.rates.spend(channel.id);
    const outcome = await perform(sender, channel, step, { ...options, hasTurn: hasTurn || at > 0 });
    if (outcome.class !== "resend") return outcome;
  }
  return null;
}

/** The earlier message with this key. */
export async function continuationOf(
  { db, box }: ChannelsContext,
  channelId: string,
  key: string,
  isChange = false,
): Promise<Continuation> {
  const row = await findMessage(db.read, channelId, key);
  return { ref: openRef(box, row), isKnown: row !== undefined && row.state !== "", isChange };
}

/** Keeps what the answer says: ids of the message, and new values of fields. */
export async function recordSent(
  { box, clock }: Pick<ChannelsContext, "box" | "clock">,
  channel: OpenedChannel,
  n: NoticeText,
  outcome: SendOutcome,
  trx: Trx,
): Promise<void> {
  const now = clock.now();
  await recordAccepted(trx, channel, now);
  if (outcome.set) await storeFields(box, channel, outcome.set, trx);
  const row = await requireMessage(trx, channel.id, n.key, now);
  const ref = outcome.ref && outcome.step === "send" ? { ref: sealRef(box, row.id, outcome.ref) } : {};
  await updateMessage(trx, row.id, { state: n.status, error: null, updatedAt: now, ...ref });
}

/** Its present settings work. Written about once an hour: messages follow each other closely in an incident. */
export async function recordAccepted(trx: Trx, { row }: OpenedChannel, now: EpochMs): Promise<void> {
  if (row.acceptedAt !== null && row.acceptedAt > now - HOUR_MS) return;
  const ofVersion = trx.updateTable("channels").set({ acceptedAt: now }).where("id", "=", row.id);
  // A message that was sent with earlier settings says nothing about these.
  await ofVersion.where("fields", "=", row.fields).where("secrets", "=", row.secrets).execute();
}

async function storeFields(box: ChannelsContext["box"], channel: OpenedChannel, set: Texts, trx: Trx): Promise<void> {
  const row = await findChannel(trx, channel.id);
  if (!row) return;
  const stored = storedFields(box, row.id, channel.preset, { ...openFields(box, row), ...set });
  await updateChannel(trx, row.id, { ...stored, version: row.version + 1 });
}

/** The error of a message that was not accepted. */
export function errorOf({
  class: name,
  error,
  hint,
  afterMs,
  status,
  isOwnRate,
  isGuess,
  noAnswer,
}: SendOutcome): Error {
  const message = [error ?? "the message was not accepted", ...(hint === null ? [] : [hint])].join("; ");
  switch (name) {
    case "wait":
      return new Throttled(message, afterMs, { isOwnRate, isGuess });
    case "retry":
      return status === null ? new NoAnswer(message, noAnswer ?? {}) : new Error(message);
    case "refused":
      return new Refused(message);
    case "gone":
      return new TargetGone(message);
    default:
      return new PermanentError(message);
  }
}

/* Failures of channels. None disables one: only the word of its service that it is gone does. */

type HealthContext = Pick<ChannelsContext, "db" | "audit" | "clock" | "log" | "notify" | "changed">;

/** Consecutive failures at which the owner of a channel is notified that its service refuses every message. */
const NOTICES_AT: ReadonlySet<number> = new Set([1, 10, 100]);

/** Counts consecutive failures, for show. The owner is notified of refusals, which only a person can mend. */
export async function recordFailure(context: HealthContext, id: string, error: unknown): Promise<void> {
  const reason = error instanceof Error ? error.message : String(error);
  await context.db
    .write(async (trx) => {
      const row = await trx
        .updateTable("channels")
        .set(({ eb }) => ({ failures: eb("failures", "+", 1) }))
        .where("id", "=", id)
        .returningAll()
        .executeTakeFirst();
      if (!row || !(error instanceof Refused) || !NOTICES_AT.has(row.failures)) return;
      await notifyOwner(context, row, trx, {
        title: `The channel ${row.name} does not work`,
        message: `Its service refuses every message: ${reason}. Correct its fields; Prism keeps trying.`,
      });
    })
    .catch(notCounted(context, id));
}

/** Writes only after a failure, which is rare. */
export async function recordSuccess(context: HealthContext, id: string): Promise<void> {
  const { db } = context;
  const row = await db.read.selectFrom("channels").select("failures").where("id", "=", id).executeTakeFirst();
  if (!row || row.failures === 0) return;
  await db.write((trx) => updateChannel(trx, id, { failures: 0 })).catch(notCounted(context, id));
}

/** The service's answer counts even if it cannot be stored. */
function notCounted({ log }: HealthContext, channelId: string): (error: unknown) => void {
  return (error) => log.warn({ channelId, err: error }, "cannot store the failures of a channel");
}

/** The owner is notified by other ways. @returns whether it was active */
export async function disableChannel(context: HealthContext, id: string, reason: string, trx: Trx): Promise<boolean> {
  const { audit, clock, log } = context;
  const now = clock.now();
  const row = await findChannel(trx, id);
  if (row?.active !== 1) return false;
  const version = row.version + 1;
  await updateChannel(trx, id, { active: 0, disabledAt: now, disabledReason: reason, updatedAt: now, version });
  await audit.record(
    { action: "channel.disable", resourceType: "channel", resourceId: id, metadata: { reason, version } },
    { trx },
  );
  log.warn({ channelId: id, preset: row.preset, reason }, "disabling a channel");
  const { projectId, userId, name } = row;
  addEffect(trx, { type: "announced", event: "channel:disabled", data: { id, name, projectId, userId, reason } });
  await notifyOwner(context, row, trx, {
    title: `The channel ${name} is disabled`,
    message: `Prism no longer sends to it: ${reason}. Correct its fields and enable it again.`,
  });
  context.changed();
  return true;
}

async function notifyOwner(
  { notify, log }: HealthContext,
  row: ChannelRow,
  trx: Trx,
  notice: { readonly title: string; readonly message: string },
): Promise<void> {
  const owner = row.userId ?? row.createdBy;
  const account =
    owner === null
      ? undefined
      : await trx
          .selectFrom("users")
          .select("id")
          .where("id", "=", owner)
          .where("status", "=", "active")
          .where("deletedAt", "is", null)
          .executeTakeFirst();
  if (!account) {
    log.warn({ channelId: row.id }, "a failing channel has no owner to notify");
    return;
  }
  await notify.send(
    {
      recipients: [account.id],
      ...notice,
      priority: 500,
      data: { channelId: row.id, preset: row.preset },
      channels: ["in_app", "pusher", "fcm", "apns", "webpush"],
    },
    { trx },
  );
}
