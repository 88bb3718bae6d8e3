import { DAY_MS } from "../../core/clock.ts";
import type { Trx } from "../../store/database.ts";
import { TargetGone, Throttled } from "../delivery/index.ts";
import { COMPLETED, type JobRunner, PermanentError, type RunningJob } from "../jobs/index.ts";
import type { ChannelsContext } from "./context.ts";
import { disableChannel, recordFailure, recordSuccess } from "./health.ts";
import { continuationOf, errorOf, openChannel, recordSent, sendMessage } from "./messages.ts";
import { type NoticeParts, noticeOf } from "./notice.ts";

import { findChannel, findMessage, type MessageRow, requireMessage, updateMessage } from "./store.ts";

const MESSAGE_JOB = "channel.message";

/** A message that a channel is to show. */
export interface ChannelMessage {
  readonly channelId: string;
  /** Its `key` names the thing that it is about: a later message with it continues this one. */
  readonly notice: NoticeParts;
  /** Only changes the earlier message, if the service can; otherwise it is sent as usual. */
  readonly isChange?: boolean;
}

interface Wanted {
  readonly notice: NoticeParts;
  readonly isChange: boolean;
}

interface MessagePayload {
  readonly channelId: string;
  readonly key: string;
}

/**
 * Sends messages of alerts to channels. A transaction stores the message that a channel is to show
 * and adds one job for its key. The job sends the latest one: while a service is down, several
 * changes of one alert become one message, and none overtakes another.
 */
export class ChannelOutbox {
  readonly #context: ChannelsContext;

  constructor(context: ChannelsContext, runner: JobRunner) {
    this.#context = context;
    runner.handle(MESSAGE_JOB, (job, signal) => this.#send(job, signal));
  }

  /** @returns false if the channel no longer exists or is disabled */
  async enqueue(trx: Trx, { channelId, notice, isChange = false }: ChannelMessage): Promise<boolean> {
    const { clock, jobs } = this.#context;
    const channel = await findChannel(trx, channelId);
    if (channel?.active !== 1) return false;
    const now = clock.now();
    const row = await requireMessage(trx, channelId, notice.key, now);
    const wanted = JSON.stringify({ notice, isChange } satisfies Wanted);
    await updateMessage(trx, row.id, { wanted, wantedVersion: row.wantedVersion + 1, updatedAt: now });
    const payload: MessagePayload = { channelId, key: notice.key };
    const dedupeKey = `channel:${channelId}:${notice.key}`;
    const kind = { queue: "notification-delivery", kind: MESSAGE_JOB, priority: notice.priority } as const;
    await jobs.enqueue({ ...kind, payload, runAt: now, dedupeKey, correlationId: row.id }, { trx });
    return true;
  }

  async #send(job: RunningJob, signal: AbortSignal): Promise<unknown> {
    const context = this.#context;
    const { channelId, key } = job.payload as MessagePayload;
    const row = await findMessage(context.database.read, channelId, key);
    if (!row || row.wanted === null || row.wantedVersion === row.sentVersion) return this.#end(job, row, null);
    const { notice, isChange } = JSON.parse(row.wanted) as Wanted;
    try {
      const channel = await openChannel(context, channelId);
      const n = noticeOf(notice);
      const continues = await continuationOf(context, channelId, key, isChange);
      const outcome = await sendMessage(context, channel, n, {
        id: `${row.id}-${row.wantedVersion}`,
        continues,
        signal,
      });
      if (outcome && outcome.class !== "ok") throw errorOf(outcome);
      await recordSuccess(context, channelId);
      return await this.#end(job, row, async (trx) => {
        if (outcome) await recordSent(context, channel, n, outcome, trx);
      });
    } catch (error) {
      if (signal.aborted) throw error;
      return this.#failed(job, row, error);
    }
  }

  /** The job runs again at once if another message is wanted by now. */
  async #end(
    job: RunningJob,
    row: MessageRow | undefined,
    change: ((trx: Trx) => Promise<void>) | null,
  ): Promise<typeof COMPLETED> {
    const { database, jobs, clock } = this.#context;
    await database.write(async (trx) => {
      await change?.(trx);
      if (row && change) await updateMessage(trx, row.id, { sentVersion: row.wantedVersion });
      const current = row && (await findMessage(trx, row.channelId, row.key));
      if (current && current.wantedVersion > current.sentVersion) await jobs.postpone(job, trx, clock.now());
      else await jobs.complete(job, trx);
    });
    return COMPLETED;
  }

  async #failed(job: RunningJob, row: MessageRow, error: unknown): Promise<typeof COMPLETED> {
    const context = this.#context;
    const { database, jobs, clock } = context;
    const text = error instanceof Error ? error.message : String(error);
    const isRecent = clock.now() - row.updatedAt < DAY_MS;
    if (error instanceof Throttled && isRecent) {
      await database.write((trx) => jobs.postpone(job, trx, clock.now() + error.retryAfterMs));
      return COMPLETED;
    }
    const isGone = error instanceof TargetGone;
    const isFinal = isGone || error instanceof PermanentError || error instanceof Throttled;
    if (!isGone) await recordFailure(context, row.channelId, error);
    if (!isFinal) throw error;
    return this.#end(job, row, async (trx) => {
      await updateMessage(trx, row.id, { error: text, updatedAt: clock.now() });
      if (isGone) await disableChannel(context, row.channelId, text, trx);
    });
  }
}
