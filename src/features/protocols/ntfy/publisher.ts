import { PrismError } from "../../../core/errors.ts";
import type { Counter } from "../../../core/metrics.ts";
import { startOf } from "../../../core/text/clean-text.ts";
import type { Level } from "../../../core/text/vocabulary.ts";
import { DAY_MS, type EpochMs, HOUR_MS } from "../../../core/time/clock.ts";
import { DueTimes, SteadyClock } from "../../../core/time/due-times.ts";
import { RateLimiter } from "../../../http/limits/rate-limiter.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect, later, type Trx } from "../../../store/database.ts";
import { creatorOf, type ProjectStorage, type Quotas } from "../../access/index.ts";
import type { DirectMail } from "../../delivery/index.ts";
import { appendEvents, type EventOwner } from "../../events/index.ts";
import type { StreamService } from "../../events/streams/index.ts";
import type { UploadedFile } from "./attachments.ts";
import { NtfyError } from "./errors.ts";
import { type EventName, type Message, secondsOf } from "./message.ts";
import { isTrue, newId } from "./parameters.ts";
import type { NtfyTopic, Visitor } from "./topics.ts";

/** The members of a message that the publisher gives. */
export type Content = Omit<Message, "id" | "sequence_id" | "time" | "expires" | "event" | "topic">;

export interface Draft {
  /** A new one, if the attachment was stored under it. */
  readonly id: string;
  readonly content: Content;
  /** '' for a message of its own. */
  readonly sequenceId: string;
  readonly event: EventName;
  /** Not stored: only current subscribers get it. */
  readonly isUncached: boolean;
  /** When to send it; null: now. */
  readonly dueAt: EpochMs | null;
  readonly file: UploadedFile | null;
  /** The address in `Email:`; absent or empty: none. */
  readonly email?: string;
  /** The number in `Call:`; absent or empty: none. */
  readonly call?: string;
}

/** The answer to a publisher. */
export interface Published extends Message {
  /** Requested parts that were not done. */
  readonly warning?: string;
}

/** The request that publishes. */
export interface PublishCall {
  readonly correlationId: string;
  /** Runs what needs a caller: without one Node calls back faster. */
  run<T>(fn: () => Promise<T>): Promise<T>;
}

interface PublisherParts extends Uses<"db" | "reader" | "clock" | "log" | "audit" | "ingest"> {
  readonly realtime: Pick<StreamService, "publishAll" | "entryOfSet">;
  readonly quotas: Quotas;
  readonly storage: Pick<ProjectStorage, "requireRoom">;
  readonly published: Counter;
  /** Whether a caller, by the key of its principal, may still write to a topic. */
  mayStillWrite(topic: string, sender: string): boolean;
  /** How long messages are kept. */
  cacheMs(): number;
  /** Whether the server sends mails. */
  hasMail(): boolean;
  enqueueMail(mail: DirectMail, trx: Trx): Promise<void>;
}

/** Rows as JSON. A scheduled message has its row already. */
const MESSAGE_SQL = `insert into ntfy_messages (id, topic, sequenceId, seq, at, dueAt, expiresAt, body, sender)
  select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, null, value ->> 5, null, value ->> 6
  from json_each(?) where true
  on conflict (id) do update set seq = excluded.seq, at = excluded.at, dueAt = null, body = null`;

/** Scheduled messages of one transaction: so many share a sync of the disk. */
const SENT_AT_ONCE = 64;

/** Mails of one user within an hour, as ntfy's own default. */
const MAILS_PER_HOUR = 16;
const MAX_MAIL_USERS = 10_000;
const MAX_SUBJECT = 100;

/** Stands for all anonymous publishers together, whose topics count as those of one person. */
const ANONYMOUS_MAKER = "anonymous";
const LEVELS: readonly Level[] = ["info", "debug", "info", "info", "warn", "error"];

/**
 * Stores messages: the entry of the topic's stream, its row, and the event of the project commit
 * together, before the publisher is answered. Scheduled messages wait as rows; a restart finds them.
 */
export class Publisher {
  readonly #parts: PublisherParts;
  /** Scheduled messages, over the column `dueAt`. */
  readonly due: DueTimes<string>;
  readonly #startedAt: number;
  readonly #mails: RateLimiter;
  #count = 0;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
    this.#startedAt = parts.clock.elapsed();
    this.#mails = new RateLimiter(parts.clock, MAX_MAIL_USERS, HOUR_MS);
    const scheduled = parts.reader
      .prepare<[], [id: string, dueAt: EpochMs]>("select id, dueAt from ntfy_messages where dueAt is not null")
      .raw();
    this.due = new DueTimes({
      clock: new SteadyClock(parts.clock),
      read: () => scheduled.iterate(),
      handle: (ids) => this.#send(ids),
      onError: (err, ids) => parts.log.error({ err, ids }, "sending scheduled ntfy messages failed; retrying"),
      batch: SENT_AT_ONCE,
    });
  }

  /** Messages published since the start. */
  get count(): number {
    return this.#count;
  }

  /** Messages per second since the start. */
  get rate(): number {
    const seconds = (this.#parts.clock.elapsed() - this.#startedAt) / 1000;
    return seconds > 0 ? this.#count / seconds : 0;
  }

  /** @returns the message as stored. @throws NtfyError 40301, 42904; OVERLOADED, STORAGE_FULL, DATABASE_UNAVAILABLE */
  publish(topic: NtfyTopic, { principal }: Visitor, draft: Draft, call: PublishCall): Promise<Published> {
    const { projectId } = topic;
    if (projectId !== null) this.#parts.storage.requireRoom(projectId, { sender: principal ? "known" : "unproven" });
    const now = this.#parts.clock.now();
    const message = this.#messageOf(topic.name, draft, now);
    return projectId !== null && isOneEvent(topic, draft)
      ? this.#storeWithEvent(projectId, message, this.#expiryOf(draft, now), principal?.key ?? null, call)
      : call.run(() => this.#store(topic, principal, message, draft, now));
  }

  #countOne(): void {
    this.#count++;
    this.#parts.published.add();
  }

  /** The message goes with its event, in a commit of all events that wait. */
  #storeWithEvent(
    projectId: string,
    message: Message,
    expiresAt: EpochMs,
    sender: string | null,
    { correlationId }: PublishCall,
  ): Promise<Published> {
    const { clock, ingest, realtime } = this.#parts;
    const { id, topic, event } = message;
    const now = clock.now();
    const entry = realtime.entryOfSet({ kind: "ntfy", topic }, event, JSON.stringify(message), correlationId);
    return new Promise((resolve, reject) => {
      const owner: EventOwner = {
        isAbandoned: false,
        hasRows: true,
        rowsFor() {
          const { offset, sql, row } = entry.seal();
          const messageRow = [id, topic, message.sequence_id ?? id, offset, now, expiresAt, sender];
          return {
            inserts: [
              { sql, row },
              { sql: MESSAGE_SQL, row: messageRow },
            ],
            announce: entry.announce,
          };
        },
        settled: () => {
          this.#countOne();
          resolve(message);
        },
        failed: (_event, error) => reject(error),
      };
      ingest.accept(eventOf(projectId, message), { source: "ntfy", now }, owner);
    });
  }

  async #store(
    topic: NtfyTopic,
    principal: Visitor["principal"],
    message: Message,
    draft: Draft,
    now: EpochMs,
  ): Promise<Published> {
    const sender = principal?.key ?? null;
    const warning = await this.#parts.db.write(
      async (trx) => {
        if (topic.isNew) await this.#makeTopic(trx, topic, principal ? creatorOf(principal) : ANONYMOUS_MAKER, now);
        if (draft.file) await trx.insertInto("ntfy_attachments").values(draft.file.row).execute();
        if (draft.sequenceId !== "") await cancelScheduled(trx, topic.name, draft.sequenceId);
        if (draft.dueAt !== null) await this.#schedule(trx, message, draft, now, sender);
        else await this.#append(trx, topic.projectId, message, this.#expiryOf(draft, now), sender);
        const { email = "" } = draft;
        return email === ""
          ? undefined
          : this.#mail(
              trx,
              principal && "userId" in principal ? principal.userId : null,
              topic.projectId,
              message,
              email,
            );
      },
      { sharesCommit: true },
    );
    this.#countOne();
    // As with a mail that is not sent, the message counts.
    const called = draft.call ? "No one is called: calls are made by incidents only" : undefined;
    const warnings = [warning, called].filter((each) => each !== undefined);
    return warnings.length === 0 ? message : { ...message, warning: warnings.join("; ") };
  }

  #expiryOf({ isUncached }: Draft, now: EpochMs): EpochMs {
    return isUncached ? now : now + this.#parts.cacheMs();
  }

  /**
   * Sends the message to its publisher, too: to the confirmed address of the account only, so that
   * no publisher can mail strangers. @returns why it does not; undefined if the mail is queued
   */
  async #mail(
    trx: Trx,
    userId: string | null,
    projectId: string | null,
    message: Message,
    given: string,
  ): Promise<string | undefined> {
    const { clock, hasMail, enqueueMail } = this.#parts;
    const not = (why: string): string => `No mail is sent: ${why}`;
    if (!hasMail()) return not("the server has no SMTP (smtp.host)");
    if (userId === null) return not("only a user's own address gets mails, and this publisher is not a user");
    const user = await trx
      .selectFrom("users")
      .select("email")
      .where("id", "=", userId)
      .where("isEmailVerified", "=", 1)
      .executeTakeFirst();
    if (!user?.email) return not("the account has no confirmed mail address");
    const isOwn = isTrue(given) || given.toLowerCase() === user.email.toLowerCase();
    if (!isOwn) return not("only the address of the publisher's own account gets mails");
    if (!this.#mails.take(userId, MAILS_PER_HOUR).isAllowed) return not(`more than ${MAILS_PER_HOUR} within an hour`);
    const { topic, title, message: body = "", click } = message;
    const lines = [body, ...(click === undefined ? [] : [click]), `Published to the topic ${topic}.`];
    const mail = { to: user.email, subject: title ?? startOf(body.replace(/\s+/g, " "), MAX_SUBJECT) };
    const text = `${lines.join("\n\n")}\n`;
    await enqueueMail({ ...mail, projectId, text, expiresAt: clock.now() + DAY_MS }, trx);
    return undefined;
  }

  #messageOf(topic: string, { id, content, sequenceId, event, isUncached, dueAt }: Draft, now: EpochMs): Message {
    const at = dueAt ?? now;
    return {
      id,
      ...(sequenceId !== "" && sequenceId !== id && { sequence_id: sequenceId }),
      time: secondsOf(at),
      ...(!isUncached && { expires: secondsOf(at + this.#parts.cacheMs()) }),
      event,
      topic,
      ...content,
    };
  }

  /** @throws NtfyError 40301 if another project has got the topic meanwhile; 42904 */
  async #makeTopic(trx: Trx, topic: NtfyTopic, createdBy: string | null, now: EpochMs): Promise<void> {
    const { name, kind, projectId } = topic;
    const row = {
      name,
      kind,
      projectId,
      userId: null,
      patterns: "[]",
      createdBy,
      createdAt: now,
      lastUsedAt: now,
      isKept: 0,
    } as const;
    const stored = await trx.selectFrom("ntfy_topics").selectAll().where("name", "=", name).executeTakeFirst();
    if (!stored) {
      await this.#parts.quotas.requireRoom(trx, "topics", row).catch((error: unknown) => {
        throw error instanceof PrismError && error.code === "LIMIT_REACHED"
          ? new NtfyError(42904, error.message)
          : error;
      });
      await trx.insertInto("ntfy_topics").values(row).execute();
      addEffect(trx, { type: "ntfy-topics-changed", changed: [row] });
      const metadata = { kind, projectId };
      await this.#parts.audit.record(
        { action: "ntfy_topic.create", resourceType: "ntfyTopic", resourceId: name, metadata },
        { trx },
      );
      return;
    }
    if (stored.kind !== "messages" || stored.projectId !== projectId) throw new NtfyError(40301);
  }

  async #schedule(
    trx: Trx,
    message: Message,
    { sequenceId, dueAt }: Draft,
    now: EpochMs,
    sender: string | null,
  ): Promise<void> {
    if (dueAt === null) return;
    const { id, topic } = message;
    await trx
      .insertInto("ntfy_messages")
      .values({
        ...{ id, topic, sequenceId: sequenceId === "" ? id : sequenceId, seq: null, at: now, dueAt, sender },
        ...{ expiresAt: dueAt + this.#parts.cacheMs(), body: JSON.stringify(message) },
      })
      .execute();
    addEffect(trx, { type: "ntfy-scheduled", id, dueAt });
  }

  /** The message becomes an entry of its topic and an event of the project. */
  async #append(
    trx: Trx,
    projectId: string | null,
    message: Message,
    expiresAt: EpochMs,
    sender: string | null,
  ): Promise<void> {
    const { clock, realtime } = this.#parts;
    const { id, topic, event } = message;
    const now = clock.now();
    const [seq = 0] = await realtime.publishAll([{ to: { kind: "ntfy", topic }, type: event, data: message }], { trx });
    const sequenceId = message.sequence_id ?? id;
    later(trx, MESSAGE_SQL, [JSON.stringify([[id, topic, sequenceId, seq, now, expiresAt, sender]])]);
    if (projectId === null || event !== "message") return;
    await appendEvents(trx, [eventOf(projectId, message)], { source: "ntfy", now });
  }

  /**
   * Sends scheduled messages whose time has come; a row that is gone was replaced or cancelled. It is
   * deleted if its sender may no longer write to the topic, such as a removed member.
   */
  async #send(ids: readonly string[]): Promise<void> {
    const refused = await this.#parts.db.write(async (trx) => {
      const rows = await trx
        .selectFrom("ntfy_messages as m")
        .leftJoin("ntfy_topics as t", "t.name", "m.topic")
        .select(["m.id", "m.topic", "m.body", "m.expiresAt", "m.sender", "t.projectId"])
        .where("m.id", "in", ids)
        .where("m.dueAt", "is not", null)
        .orderBy("m.dueAt")
        .execute();
      const mayNot = rows.filter(({ topic, sender }) => sender !== null && !this.#parts.mayStillWrite(topic, sender));
      const left = mayNot.map(({ id }) => id);
      if (left.length > 0) await trx.deleteFrom("ntfy_messages").where("id", "in", left).execute();
      for (const { id, projectId, body, expiresAt, sender } of rows) {
        if (body === null || left.includes(id)) continue;
        await this.#append(trx, projectId, JSON.parse(body) as Message, expiresAt, sender);
      }
      for (const id of ids) addEffect(trx, { type: "ntfy-scheduled", id, dueAt: null });
      return mayNot;
    });
    for (const { topic, sender } of refused)
      this.#parts.log.info(
        { topic, sender },
        "deleted a scheduled message: its sender may no longer write to the topic",
      );
  }
}

/** Whether nothing is stored but the message and its event. */
function isOneEvent({ isNew }: NtfyTopic, { event, sequenceId, dueAt, file, email = "" }: Draft): boolean {
  return !isNew && event === "message" && sequenceId === "" && dueAt === null && file === null && email === "";
}

/** The event of a message in its project. */
function eventOf(projectId: string, message: Message) {
  const { time: _time, expires: _expires, event: _event, ...payload } = message;
  return { projectId, type: "ntfy.message", level: LEVELS[message.priority ?? 0] ?? "info", payload };
}

async function cancelScheduled(trx: Trx, topic: string, sequenceId: string): Promise<void> {
  const cancelled = await trx
    .deleteFrom("ntfy_messages")
    .where("topic", "=", topic)
    .where("sequenceId", "=", sequenceId)
    .where("dueAt", "is not", null)
    .returning("id")
    .execute();
  for (const { id } of cancelled) addEffect(trx, { type: "ntfy-scheduled", id, dueAt: null });
}

/** A message that only names the sequence it clears or deletes. */
export function sequenceDraft(event: "message_clear" | "message_delete", sequenceId: string): Draft {
  return { id: newId(), content: {}, sequenceId, event, isUncached: false, dueAt: null, file: null };
}
