import type { Clock } from "../../core/clock.ts";
import { toRfc3339 } from "../../core/clock.ts";
import type { UserPrincipal } from "../../core/principal.ts";
import type { SealedBox } from "../../core/sealed-box.ts";
import type { Idempotency } from "../../http/idempotency.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Database, Trx } from "../../store/database.ts";
import type { MessageStatus } from "../../store/schema.ts";
import type { StorageGuard } from "../../store/write-health.ts";
import type { UserDirectory } from "../access/index.ts";
import type { JobControl, JobRunner, JobService } from "../jobs/index.ts";
import type { MessageRow, Step, TrackedMessage } from "./queries.ts";

/** What the feature needs besides the services of every module. */
export interface MessagesOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly box: SealedBox;
  readonly runner: JobRunner;
  readonly jobControl: JobControl;
  readonly jobs: JobService;
  readonly users: UserDirectory;
  readonly storage: StorageGuard;
  readonly settings: LiveSettings;
  readonly idempotency: Idempotency;
  readonly realtime: MessageStream;
}

/** The live streams of the people of a message. `shown` is what listeners are sent in place of the stored `data`. */
interface MessageStream {
  publish(
    stream: { readonly kind: "messages"; readonly userId: string },
    type: string,
    data: unknown,
    options: { readonly trx: Trx; readonly isAbridged?: boolean },
  ): Promise<unknown>;
}

export type MessagesContext = MessagesOwn & Pick<CoreServices, "audit" | "log">;

/** Whether what somebody has sent or received is there for this caller: for the person always, for a service token only when it was made for it. */
export function mayUseMessages({ tokenScopes, permissions }: UserPrincipal): boolean {
  return tokenScopes === null || permissions.has("messages:own");
}

/** An operator may have a dead message tried again without end; what is kept of its way has one. */
const MAX_STEPS = 200;

type Changes = Partial<Pick<MessageRow, "attempts" | "lastError" | "deliveredAt" | "readAt" | "cancelledAt">>;

/** @param text the column `history`. */
function readSteps(text: string): Step[] {
  return JSON.parse(text) as Step[];
}

/** The steps that were written, and those that the job alone tells of. */
export function stepsOf(message: TrackedMessage): Step[] {
  const { status, shownStatus, jobStartedAt, updatedAt } = message;
  const steps = readSteps(message.history);
  if (shownStatus === status) return steps;
  if (shownStatus === "queued") return [...steps, queuedStep(message)];
  const at = shownStatus === "delivering" ? (jobStartedAt ?? updatedAt) : updatedAt;
  const waited = status === "scheduled" && shownStatus === "delivering" ? [queuedStep(message)] : [];
  return [...steps, ...waited, { status: shownStatus, at }];
}

/** The delay is over: the message waits for a worker. Nothing is written at that moment, since the job says so. */
export function queuedStep({ jobRunAt, createdAt }: Pick<TrackedMessage, "jobRunAt" | "createdAt">): Step {
  return { status: "queued", at: Math.max(createdAt, jobRunAt ?? createdAt) };
}

/** Whom a message concerns; somebody who writes to himself is one. */
export function sidesOf({ senderId, recipientId }: Pick<MessageRow, "senderId" | "recipientId">): string[] {
  return [...new Set([senderId, recipientId])];
}

interface Move extends Changes {
  /** Steps that were not written when they were taken. */
  readonly before?: readonly Step[];
  /** Default: now. */
  readonly at?: number;
}

/**
 * Writes what a message is from now on, with its place in the history, and tells whoever may know of it: both sides once it is delivered, before
 * that its sender. @returns the message as it is now.
 */
export async function moveTo<M extends MessageRow>(
  context: MessagesContext,
  trx: Trx,
  message: M,
  status: MessageStatus,
  { before = [], at = context.clock.now(), ...changes }: Move = {},
): Promise<M> {
  const steps = [...readSteps(message.history), ...before, { status, at }].slice(-MAX_STEPS);
  const values = { ...changes, status, history: JSON.stringify(steps), updatedAt: at };
  await trx.updateTable("messages").set(values).where("id", "=", message.id).execute();
  const moved = { ...message, ...values };
  await tellStatus(context, trx, moved);
  return moved;
}

/** An entry `message:status` of the streams of whoever may know. */
export async function tellStatus({ realtime }: MessagesContext, trx: Trx, message: MessageRow): Promise<void> {
  const { id, status, senderId, deliveredAt, updatedAt } = message;
  const audience = deliveredAt === null ? [senderId] : sidesOf(message);
  const data = { id, status, at: toRfc3339(updatedAt) };
  for (const userId of audience) await realtime.publish({ kind: "messages", userId }, "message:status", data, { trx });
}
