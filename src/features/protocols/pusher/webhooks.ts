import { AsyncResource } from "node:async_hooks";
import { createHmac } from "node:crypto";
import type { Logger } from "../../../core/log.ts";
import { VERSION } from "../../../core/runtime.ts";
import type { Clock } from "../../../core/time/clock.ts";
import type { PusherHappening } from "../../../live/protocols/pusher/pusher-registry.ts";
import type { CoreServices } from "../../../module/module-api.ts";
import { PermanentError } from "../../time/jobs/index.ts";
import type { PusherContext, WebhookRequest } from "./pusher-app.ts";

/** As at Pusher: a return within this time cancels the departure. */
const GRACE_MS = 3000;
const LOOK_EVERY_MS = 250;
/** Beyond this many waiting departures they are reported at once. */
const MAX_DEPARTURES = 100_000;

const RETURN_OF = { channel_vacated: "channel_occupied", member_removed: "member_added" } as const;

/**
 * Delays `channel_vacated` and `member_removed` by three seconds, so that reloading a page sends no
 * webhooks: a return in that time cancels both.
 */
class Departures {
  readonly #report: (happening: PusherHappening) => void;
  /** In the order in which they are due. */
  readonly #waiting = new Map<string, { readonly happening: PusherHappening; readonly dueAt: number }>();
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  readonly #clock: Clock;

  /** @param report called with members who did not reconnect in time. */
  constructor(clock: Clock, report: (happening: PusherHappening) => void) {
    this.#clock = clock;
    this.#report = report;
  }

  /** @returns whether it is handled: a departure that waits, or a return that cancels one. */
  take(happening: PusherHappening): boolean {
    const { name } = happening;
    if (name === "channel_occupied" || name === "member_added") return this.#waiting.delete(keyOf(name, happening));
    if (name !== "channel_vacated" && name !== "member_removed") return false;
    if (this.#isClosed || this.#waiting.size >= MAX_DEPARTURES) return false;
    const dueAt = this.#clock.elapsed() + GRACE_MS;
    this.#waiting.set(keyOf(RETURN_OF[name], happening), { happening, dueAt });
    this.#timer ??= setTimeout(() => this.#sendDue(), LOOK_EVERY_MS);
    return true;
  }

  /** Reports all waiting departures, and delays no further ones. */
  close(): void {
    this.#isClosed = true;
    if (this.#timer) clearTimeout(this.#timer);
    for (const { happening } of this.#waiting.values()) this.#report(happening);
    this.#waiting.clear();
  }

  #sendDue(): void {
    const now = this.#clock.elapsed();
    for (const [key, { happening, dueAt }] of this.#waiting) {
      if (dueAt > now) break;
      this.#waiting.delete(key);
      this.#report(happening);
    }
    this.#timer = this.#waiting.size > 0 ? setTimeout(() => this.#sendDue(), LOOK_EVERY_MS) : null;
  }
}

function keyOf(returns: string, happening: PusherHappening): string {
  const member = "user_id" in happening ? JSON.stringify(happening.user_id) : "";
  return `${returns} ${happening.channel} ${member}`;
}

/** As at Pusher: a webhook waits this long for more events, up to this many. */
const BATCH_MS = 250;
const MAX_BATCH = 20;
/** Limit for the texts of one batch; the payload of a job has 256 KiB, and JSON may double them. */
const MAX_BATCH_LENGTH = 65_536;
/** Limit of events that wait for the next batch, and how many are taken at a time. */
const MAX_WAITING = 100_000;
const MAX_AT_ONCE = 1000;
/** Limit of concurrent first attempts; further batches become jobs at once. */
const MAX_CALLS = 8;
/** Attempts of the job. With the delays of `jobs.module.*` about five minutes, as at Pusher. */
const MAX_ATTEMPTS = 10;
const KIND = "webhook";
const LOG_EVERY_MS = 60_000;

/** Payload of one job. */
interface Batch {
  readonly url: string;
  readonly time_ms: number;
  readonly events: readonly PusherHappening[];
}

interface Feed extends Pick<PusherContext, "db" | "config" | "log" | "clock" | "pusher"> {
  readonly scheduler: Pick<CoreServices["scheduler"], "handle" | "add">;
  /** Calls a URL of Pusher's webhooks. @throws PermanentError for a refused URL, Error to retry */
  callWebhook(url: string, request: WebhookRequest): Promise<{ readonly status: number }>;
}

/**
 * Pusher's webhooks: batches of channel events. A batch is sent at once without a write; a failed
 * one becomes a job, which is retried for about five minutes, across restarts.
 */
export class PusherWebhooks {
  readonly #feed: Feed;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #urls: readonly string[];
  readonly #wanted: ReadonlySet<string>;
  readonly #departures: Departures;
  // A socket may be closed inside a transaction, which these writes must not join.
  readonly #flushOutside = AsyncResource.bind(() => this.#flush());
  readonly #stop = new AbortController();
  #waiting: PusherHappening[] = [];
  #timer: NodeJS.Timeout | null = null;
  readonly #calls = new Set<Promise<void>>();
  #dropped = 0;
  #loggedAt: number | null = null;

  constructor(feed: Feed) {
    const { clock, log, config, scheduler } = feed;
    this.#feed = feed;
    this.#clock = clock;
    this.#log = log.namespace("pusher");
    this.#urls = config.pusher.webhooks.urls;
    this.#departures = new Departures(clock, (happening) => this.#add(happening));
    this.#wanted = new Set(config.pusher.webhooks.events);
    scheduler.handle(KIND, ({ payload }, signal) => this.#send(payload as unknown as Batch, signal));
  }

  /** Adds an event. It returns at once. */
  note(happening: PusherHappening): void {
    if (!this.#departures.take(happening)) this.#add(happening);
  }

  /** Ends all delays: departures during the stop are final. Resolves once all are sent or jobs. */
  async close(): Promise<void> {
    this.#departures.close();
    this.#stop.abort(new Error("the server is stopping"));
    while (this.#waiting.length > 0) {
      this.#flush();
      await Promise.all(this.#calls);
    }
    await Promise.all(this.#calls);
  }

  #add(happening: PusherHappening): void {
    if (!this.#wanted.has(happening.name)) return;
    if (this.#waiting.length >= MAX_WAITING) return this.#drop(1);
    this.#waiting.push(happening);
    const isFull = this.#waiting.length === MAX_BATCH;
    if (isFull && this.#timer) clearTimeout(this.#timer);
    if (isFull) this.#timer = setTimeout(this.#flushOutside, 0);
    else this.#timer ??= setTimeout(this.#flushOutside, BATCH_MS);
  }

  #flush(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const happenings = lastCounts(this.#waiting.splice(0, MAX_AT_ONCE));
    if (this.#waiting.length > 0) this.#timer = setTimeout(this.#flushOutside, 0);
    const time_ms = this.#clock.now();
    const late: Batch[] = [];
    for (const events of batchesOf(happenings))
      for (const url of this.#urls) {
        const batch: Batch = { url, time_ms, events };
        if (this.#calls.size < MAX_CALLS && !this.#stop.signal.aborted) this.#track(this.#try(batch));
        else late.push(batch);
      }
    if (late.length > 0) this.#track(this.#enqueue(late));
  }

  #track(call: Promise<void>): void {
    this.#calls.add(call);
    void call.finally(() => this.#calls.delete(call));
  }

  /** The first attempt. */
  async #try(batch: Batch): Promise<void> {
    try {
      await this.#send(batch, this.#stop.signal);
    } catch (error) {
      if (error instanceof PermanentError) this.#drop(batch.events.length, error);
      else await this.#enqueue([batch]);
    }
  }

  async #enqueue(batches: readonly Batch[]): Promise<void> {
    const { db, scheduler } = this.#feed;
    try {
      await db.write(async (trx) => {
        for (const batch of batches)
          await scheduler.add(
            "pusher",
            KIND,
            { ...batch, events: [...batch.events] },
            { trx, maxAttempts: MAX_ATTEMPTS },
          );
      });
    } catch (error) {
      this.#drop(
        batches.reduce((sum, { events }) => sum + events.length, 0),
        error,
      );
    }
  }

  /** Too many jobs wait, the disk is full, or the URL is refused. */
  #drop(count: number, error?: unknown): void {
    this.#dropped += count;
    const now = this.#clock.elapsed();
    if (this.#loggedAt !== null && now - this.#loggedAt < LOG_EVERY_MS) return;
    this.#loggedAt = now;
    this.#log.warn({ events: this.#dropped, err: error }, "dropped events for Pusher webhooks");
    this.#dropped = 0;
  }

  /** @throws PermanentError for a refused URL, Error to retry, both without the URL's secrets */
  async #send({ url, time_ms, events }: Batch, signal: AbortSignal): Promise<{ status: number }> {
    const { key, secret } = this.#feed.pusher;
    const body = Buffer.from(JSON.stringify({ time_ms, events }));
    const headers = {
      // Exactly this: Pusher's libraries accept no charset.
      "Content-Type": "application/json",
      "User-Agent": `Prism/${VERSION}`,
      "X-Pusher-Key": key,
      "X-Pusher-Signature": createHmac("sha256", secret).update(body).digest("hex"),
    };
    const { status } = await this.#feed.callWebhook(url, { method: "POST", headers, body, signal });
    if (status < 200 || status >= 300) throw new Error(`the webhook answered ${status}`);
    return { status };
  }
}

/** Keeps only the last count of each channel. */
function lastCounts(happenings: readonly PusherHappening[]): PusherHappening[] {
  const last = new Map<string, PusherHappening>();
  for (const each of happenings) if (each.name === "subscription_count") last.set(each.channel, each);
  return happenings.filter((each) => each.name !== "subscription_count" || last.get(each.channel) === each);
}

function batchesOf(happenings: readonly PusherHappening[]): PusherHappening[][] {
  const batches: PusherHappening[][] = [];
  let length = 0;
  for (const happening of happenings) {
    const own = happening.name === "client_event" ? happening.data.length : 0;
    const batch = batches.at(-1);
    if (batch && batch.length < MAX_BATCH && length + own <= MAX_BATCH_LENGTH) {
      batch.push(happening);
      length += own;
    } else {
      batches.push([happening]);
      length = own;
    }
  }
  return batches;
}
