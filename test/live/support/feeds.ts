import { randomBytes, randomInt } from "node:crypto";
import { uuidv7 } from "../../../src/core/ids.ts";
import { DAY_MS, toRfc3339 } from "../../../src/core/time/clock.ts";
import { noteRemoved } from "../../../src/features/events/streams/stream-history.ts";
import { notificationSweep } from "../../../src/features/notifications/retention.ts";
import type { TestPrism } from "../../helpers/prism.ts";

/**
 * What a stream gets, numbered 1, 2, 3 …, so that what a client got can be compared with what was
 * sent.
 */
export interface Feed {
  readonly count: number;
  /** The offset of the last one. */
  readonly lastSeq: number;
  /** Publishes this many at once. @returns the offset of the last one. */
  publish(count?: number, options?: { readonly paddingBytes?: number }): Promise<number>;
}

/** Neither gets smaller by compression. An ideograph is one code point of three bytes. */
const NOISE = randomBytes(200_000).toString("base64");
const IDEOGRAPHS = Array.from({ length: 10_000 }, () => String.fromCodePoint(randomInt(0x4e00, 0x9fa6))).join("");

/** Events of a project, ingested. */
export class EventFeed implements Feed {
  readonly #url: string;
  readonly #apiKey: string;
  count = 0;
  lastSeq = 0;

  constructor(url: string, apiKey: string, count = 0) {
    this.#url = url;
    this.#apiKey = apiKey;
    this.count = count;
  }

  async publish(count = 1, { paddingBytes = 0, type = "tick" } = {}): Promise<number> {
    const lines: string[] = [];
    const padding = paddingBytes > 0 ? NOISE.slice(0, paddingBytes) : undefined;
    for (let i = 0; i < count; i++) lines.push(JSON.stringify({ type, payload: { n: ++this.count, padding } }));
    const response = await fetch(`${this.#url}/events`, {
      method: "POST",
      headers: { "X-API-Key": this.#apiKey, "Content-Type": "application/x-ndjson" },
      body: lines.join("\n"),
    });
    const body = (await response.json()) as { accepted: number; lastSeq: number };
    if (body.accepted !== count) throw new Error(`accepted ${body.accepted} of ${count}: ${response.status}`);
    this.lastSeq = body.lastSeq;
    return body.lastSeq;
  }
}

/** What is published for one user. */
abstract class UserFeed implements Feed {
  protected readonly prism: TestPrism;
  protected readonly userId: string;
  count: number;
  lastSeq = 0;

  constructor(prism: TestPrism, userId: string, count = 0) {
    this.prism = prism;
    this.userId = userId;
    this.count = count;
  }

  abstract publish(count?: number, options?: { readonly paddingBytes?: number }): Promise<number>;
}

/** Entries of a user's task stream, one transaction for those that are published at once. */
export class TaskFeed extends UserFeed {
  async publish(count = 1, { paddingBytes = 0 } = {}): Promise<number> {
    const { database: db } = this.prism.parts.base;
    const { realtime } = this.prism.parts.offers;
    const description = IDEOGRAPHS.slice(0, Math.ceil(paddingBytes / 3));
    await db.write(async (trx) => {
      for (let i = 0; i < count; i++) {
        const task = { id: uuidv7(), title: String(++this.count), description };
        const stream = { kind: "tasks", userId: this.userId } as const;
        this.lastSeq = (await realtime.publish(stream, "TASK_CREATED", task, { trx })).offset;
      }
    });
    return this.lastSeq;
  }
}

/** Notifications of a user, one transaction for those that are published at once. */
export class NotificationFeed extends UserFeed {
  async publish(count = 1, { paddingBytes = 0 } = {}): Promise<number> {
    const { database: db } = this.prism.parts.base;
    const { notify } = this.prism.parts.offers;
    const data = { padding: NOISE.slice(0, paddingBytes) };
    await db.write(async (trx) => {
      for (let i = 0; i < count; i++) {
        const told = { recipients: [this.userId], title: String(++this.count), message: "tick", data };
        await notify.send(told, { trx });
      }
    });
    const last = await db.read
      .selectFrom("notification_recipients")
      .select(({ fn }) => fn.max("seq").as("seq"))
      .where("userId", "=", this.userId)
      .executeTakeFirstOrThrow();
    this.lastSeq = last.seq ?? 0;
    return this.lastSeq;
  }
}

/** Removes a project's events that came before an instant. */
export async function deleteEvents(prism: TestPrism, projectId: string, before: number): Promise<void> {
  const reply = await prism.delete(`/api/v1/projects/${projectId}/events?before=${toRfc3339(before)}`);
  if (reply.status !== 200) throw new Error(reply.text);
}

/** Removes entries of a user's task stream as retention does. */
export async function deleteTaskEntries({ parts }: TestPrism, userId: string, before: number): Promise<void> {
  const stream = `tasks:${userId}`;
  await parts.base.database.write(async (trx) => {
    const removed = await trx
      .deleteFrom("stream_log")
      .where("stream", "=", stream)
      .where("createdAt", "<", before)
      .returning(["stream", "seq"])
      .execute();
    await noteRemoved(trx, removed);
  });
}

/** Removes notifications as retention does. */
export async function deleteNotifications({ parts }: TestPrism, before: number): Promise<void> {
  await notificationSweep(() => 1).sweep(parts.base.database, before - 1 + DAY_MS, () => false);
}
