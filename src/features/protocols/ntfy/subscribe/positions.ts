import type { Database as Sqlite } from "better-sqlite3";
import type { Clock, EpochMs } from "../../../../core/time/clock.ts";
import { streamName } from "../../../../live/stream.ts";
import type { From } from "../../../../live/subscription.ts";
import { goDuration } from "../delay.ts";
import { NtfyError } from "../errors.ts";
import { offsetOf } from "../parameters.ts";

import type { NtfyTopic } from "../topics.ts";

/** Where a subscription starts, as its client gives it. */
export type Since =
  | { readonly kind: "all" | "none" | "latest" }
  | { readonly kind: "id"; readonly id: string }
  | { readonly kind: "time"; readonly at: EpochMs };

/** @throws NtfyError 40008 */
export function parseSince(text: string, isPoll: boolean, now: EpochMs): Since {
  if (text === "") return { kind: isPoll ? "all" : "none" };
  if (text === "all" || text === "none" || text === "latest") return { kind: text };
  if (/^[A-Za-z0-9]{12}$/.test(text)) return { kind: "id", id: text };
  if (/^\d{1,11}$/.test(text)) return { kind: "time", at: Number(text) * 1000 };
  const ms = goDuration(text);
  if (ms === undefined) throw new NtfyError(40008);
  return { kind: "time", at: now - ms };
}

/** Clocks of commits are not exact: topics of another kind than the id's start this much earlier. */
const MARGIN_MS = 5000;
/** Notifications of an inbox that a subscription may start before. */
const INBOX_DEPTH = 500;

/**
 * Offsets that `since` means. Messages and inboxes share the offsets of `stream_log`; events have
 * their own. An id belongs to no topic: clients give one id for all topics of a server.
 */
export class Positions {
  readonly #clock: Clock;
  readonly #cacheMs: () => number;
  readonly #sql;

  constructor(reader: Sqlite, clock: Clock, cacheMs: () => number) {
    this.#clock = clock;
    this.#cacheMs = cacheMs;
    type Seq = { readonly seq: number };
    this.#sql = {
      first: reader.prepare<[string, number], Seq>(
        "select seq from ntfy_messages where topic = ? and seq is not null and at >= ? order by at, seq limit 1",
      ),
      latest: reader.prepare<[string, number, number], Seq>(
        `select seq from ntfy_messages where topic = ? and seq <= ? and at >= ? and expiresAt > at
         order by at desc, seq desc limit 1`,
      ),
      hidden: reader.prepare<[string], { readonly toSeq: number }>(
        "select toSeq from stream_gaps where stream = ? and fromSeq = 0",
      ),
      message: reader.prepare<[string], { readonly seq: number | null; readonly at: number }>(
        "select seq, at from ntfy_messages where id = ?",
      ),
      event: reader.prepare<[number], { readonly seq: number; readonly receivedAt: number }>(
        "select seq, receivedAt from events where seq >= ? order by seq limit 1",
      ),
      due: reader.prepare<[string, number, number], { readonly id: string; readonly dueAt: number }>(
        "select id, dueAt from ntfy_messages where topic = ? and dueAt < ? order by dueAt limit ?",
      ),
      bodies: reader.prepare<[string], { readonly body: string }>(
        `select m.body from json_each(?) i cross join ntfy_messages m on m.id = i.value
         where m.dueAt is not null order by i.key`,
      ),
      lastEvent: reader.prepare<[number], { readonly seq: number | null }>(
        "select max(seq) as seq from events where seq <= ?",
      ),
      inbox: reader.prepare<[string, number], { readonly seq: number; readonly createdAt: number }>(
        `select r.seq, n.createdAt from notification_recipients r join notifications n on n.id = r.notificationId
         where r.userId = ? and r.seq <= ? and r.deletedAt is null order by r.seq desc limit ${INBOX_DEPTH}`,
      ),
    };
  }

  /**
   * The offset after which the topic's entries are sent. @param head the last offset that the hub
   * has announced: the tables may have later ones already, which come live
   */
  of(since: Since, topic: NtfyTopic, head: number): From {
    const from = this.#from(since, topic, head);
    return typeof from === "number" ? Math.min(Math.max(from, this.#hiddenUpTo(topic)), head) : from;
  }

  /** Messages of a deleted topic of this name that are not removed yet. */
  #hiddenUpTo({ kind, name }: NtfyTopic): number {
    if (kind !== "messages") return 0;
    return this.#sql.hidden.get(streamName({ kind: "ntfy", topic: name }))?.toSeq ?? 0;
  }

  /** Texts of messages that wait for their time, by that time. */
  scheduled(topics: readonly string[], limit: number): string[] {
    let first: { readonly id: string; readonly dueAt: number }[] = [];
    for (const topic of topics) {
      // Of a further topic only those before the last of these.
      const before = first.length < limit ? Number.MAX_SAFE_INTEGER : (first.at(-1)?.dueAt ?? 0);
      first.push(...this.#sql.due.all(topic, before, limit));
      first = first.sort((a, b) => a.dueAt - b.dueAt).slice(0, limit);
    }
    // Texts are long: only of those that are sent.
    return this.#sql.bodies.all(JSON.stringify(first.map(({ id }) => id))).map(({ body }) => body);
  }

  #from(since: Since, topic: NtfyTopic, head: number): From {
    const oldest = this.#clock.now() - this.#cacheMs();
    switch (since.kind) {
      case "none":
        return "latest";
      case "all":
        return this.#atTime(topic, oldest, head);
      case "latest":
        return this.#latest(topic, oldest, head);
      case "time":
        return this.#atTime(topic, Math.max(oldest, since.at), head);
      case "id":
        return this.#afterId(topic, since.id, oldest, head);
    }
  }

  #afterId(topic: NtfyTopic, id: string, oldest: EpochMs, head: number): From {
    const known = this.#known(id);
    if (!known) return this.#atTime(topic, oldest, head);
    const isEvents = topic.kind === "events";
    if (known.isEvent !== isEvents) return this.#atTime(topic, Math.max(oldest, known.at - MARGIN_MS), head);
    const first = this.#atTime(topic, oldest, head);
    return first === "latest" ? known.offset : Math.max(Number(first), known.offset);
  }

  #known(id: string): { readonly isEvent: boolean; readonly offset: number; readonly at: EpochMs } | undefined {
    const derived = offsetOf(id);
    if (!derived) {
      const row = this.#sql.message.get(id);
      return row && row.seq !== null ? { isEvent: false, offset: row.seq, at: row.at } : undefined;
    }
    const { kind, offset } = derived;
    if (kind === "N") return { isEvent: false, offset, at: this.#clock.now() - this.#cacheMs() };
    const event = this.#sql.event.get(offset);
    return event && { isEvent: true, offset, at: event.receivedAt };
  }

  #atTime(topic: NtfyTopic, at: EpochMs, head: number): From {
    if (topic.kind === "messages") return before(this.#sql.first.get(topic.name, at)?.seq);
    if (topic.kind === "inbox") return before(this.#inboxSince(topic.userId ?? "", at, head));
    return before(this.#eventSince(at, head));
  }

  #latest(topic: NtfyTopic, oldest: EpochMs, head: number): From {
    if (topic.kind === "messages") return before(this.#sql.latest.get(topic.name, head, oldest)?.seq);
    if (topic.kind === "inbox") return before(this.#sql.inbox.get(topic.userId ?? "", head)?.seq);
    return before(this.#sql.lastEvent.get(head)?.seq ?? undefined);
  }

  #inboxSince(userId: string, at: EpochMs, head: number): number | undefined {
    let found: number | undefined;
    for (const { seq, createdAt } of this.#sql.inbox.iterate(userId, head)) {
      if (createdAt < at) break;
      found = seq;
    }
    return found;
  }

  /** Binary search: offsets of events rise with their time. */
  #eventSince(at: EpochMs, head: number): number | undefined {
    let low = 0;
    let high = (this.#sql.lastEvent.get(head)?.seq ?? 0) + 1;
    const end = high;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const event = this.#sql.event.get(middle);
      if (!event || event.receivedAt >= at) high = middle;
      else low = event.seq + 1;
    }
    return low < end ? low : undefined;
  }
}

function before(seq: number | undefined): From {
  return seq === undefined ? "latest" : seq - 1;
}
