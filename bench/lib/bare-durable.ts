/**
 * The reference of ingest: the least that a durable server of Prism's design does. uWebSockets.js, one
 * key, an id, a message to a writer's thread, the same table and indexes with `synchronous=FULL`, and the
 * answer after the commit. No rules, limits, metrics, log, duplicates or effects.
 */

import type { HttpResponse } from "uWebSockets.js";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { uuidv7 } from "../../src/core/ids.ts";
import { plainEvent } from "../../src/features/events/pipeline/plain-event.ts";
import {
  EVENT_WIDTH,
  type EventColumns,
  type EventToStore,
  type EventValue,
  eventColumns,
  insertEventsText,
  putEvent,
} from "../../src/store/commit/event-columns.ts";
import { openForWriting } from "../../src/store/sqlite/connection.ts";

const AT_ONCE = 16;
const PROJECT = uuidv7();
/** Sets that the writer has, so that it does not idle while a message is on its way. */
const MOST_IN_FLIGHT = 2;

if (isMainThread) await serve();
else write(workerData as string);

function write(file: string): void {
  const connection = openForWriting({ file, busyTimeoutMs: 0 });
  const many = connection.prepare<EventValue[]>(insertEventsText(AT_ONCE));
  const one = connection.prepare<EventValue[]>(insertEventsText(1));
  const begin = connection.prepare("begin immediate");
  const commit = connection.prepare("commit");
  parentPort?.on("message", (events: EventColumns) => {
    begin.run();
    for (let at = 0; at < events.count; ) {
      const count = at + AT_ONCE <= events.count ? AT_ONCE : 1;
      const values = new Array<EventValue>(count * EVENT_WIDTH).fill(null);
      for (let i = 0; i < count; i++) putEvent(values, i * EVENT_WIDTH, events, at + i);
      (count === 1 ? one : many).run(...values);
      at += count;
    }
    commit.run();
    parentPort?.postMessage(null);
  });
}

interface Waiting {
  readonly res: HttpResponse;
  readonly event: EventToStore;
  isAborted: boolean;
}

async function serve(): Promise<void> {
  const { migrateFile } = await import("../../src/store/sqlite/migrate.ts");
  const { uWS } = await import("../../src/http/server/uws.ts");
  const dir = mkdtempSync(join(tmpdir(), "prism-bench-"));
  process.once("SIGTERM", () => {
    rmSync(dir, { recursive: true, force: true });
    process.exit(0);
  });
  const file = join(dir, "prism.db");
  migrateFile(file);
  const writer = new Worker(new URL(import.meta.url), { workerData: file });
  const keys = new Map([[`prk_${"x".repeat(51)}`, PROJECT]]);
  const inFlight: Waiting[][] = [];
  let waiting: Waiting[] = [];
  let seq = 0;
  const send = (): void => {
    if (waiting.length === 0 || inFlight.length >= MOST_IN_FLIGHT) return;
    const set = waiting;
    waiting = [];
    inFlight.push(set);
    writer.postMessage(eventColumns(set.map(({ event }) => event)));
  };
  writer.on("message", () => {
    for (const each of inFlight.shift() ?? []) if (!each.isAborted) answer(each);
    send();
  });
  const take = (res: HttpResponse, projectId: string | undefined, text: string): Waiting | null => {
    const plain = plainEvent(text);
    if (projectId === undefined || plain === null) return null;
    const { type, source, level, dedupeKey, occurredAt } = plain.envelope;
    const now = Date.now();
    const at = { occurredAt: occurredAt ?? now, receivedAt: now, processedAt: now };
    const event = { seq: ++seq, id: uuidv7(), projectId, type, level, source, dedupeKey, ...at };
    return { res, event: { ...event, payloadText: plain.payloadText, givenCorrelationId: null }, isAborted: false };
  };
  const app = uWS.App();
  app.post("/*", (res, req) => {
    const projectId = keys.get(req.getHeader("x-api-key"));
    let taken: Waiting | null = null;
    let isAborted = false;
    res.onAborted(() => {
      isAborted = true;
      if (taken) taken.isAborted = true;
    });
    res.onData((chunk, isLast) => {
      if (!isLast || isAborted) return;
      taken = take(res, projectId, Buffer.from(chunk).toString());
      if (taken === null) {
        res.cork(() => res.writeStatus("400 Bad Request").end());
        return;
      }
      // What arrives in the same turn of the event loop is one set.
      if (waiting.push(taken) === 1) setImmediate(send);
    });
  });
  app.listen("127.0.0.1" as unknown as number, 0 as never, (socket) => {
    if (!socket) throw new Error("cannot listen");
    process.stdout.write(`listening ${uWS.us_socket_local_port(socket)}\n`);
  });
}

function answer({ res, event }: Waiting): void {
  res.cork(() => {
    res.writeStatus("202 Accepted");
    res.writeHeader("Content-Type", "application/json; charset=utf-8");
    res.end(`{"id":"${event.id}","seq":${event.seq},"status":"accepted"}`);
  });
}
