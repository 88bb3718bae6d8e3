import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "better-sqlite3";
import { uuidv7 } from "../../../src/core/ids.ts";
import { openForWriting } from "../../../src/store/sqlite/connection.ts";
import type { Caller } from "../../../test/e2e/outage/site.ts";

/* Mails that wait: a notification to some users, and copies of its rows. */

const USERS = 100;

/** Sends one notification by mail to {@link USERS} users. The mail server must not answer. @returns its id */
export async function sendOne(server: Caller): Promise<string> {
  const recipients: string[] = [];
  for (let n = 0; n < USERS; n++) {
    const user = { username: `reader${n}`, email: `reader${n}@example.org`, password: "the password of a reader" };
    recipients.push((await server.call<{ id: string }>("POST", "/users", user)).id);
  }
  const news = { recipients, channels: ["email"], title: "News", message: "What happened this week" };
  const { id } = await server.call<{ id: string }>("POST", "/notifications", news);
  for (;;) {
    const page = await server.call<{ data: unknown[] }>(
      "GET",
      `/deliveries?state=waiting&notificationId=${id}&limit=100`,
    );
    if (page.data.length === USERS) return id;
    await sleep(50);
  }
}

type Row = Record<string, unknown>;

/**
 * Copies the rows of the notification until this many mails wait, in the database of a server that
 * does not run; only a benchmark may do that.
 */
export function copyMails(file: string, notificationId: string, mails: number): void {
  const db = openForWriting({ file, busyTimeoutMs: 5000 });
  db.pragma("synchronous = OFF");
  const rowsOf = (table: string, where: string): Row[] =>
    db.prepare<[string], Row>(`select * from ${table} where ${where}`).all(notificationId);
  const notifications = rowsOf("notifications", "id = ?");
  const recipients = rowsOf("notification_recipients", "notificationId = ?");
  const deliveries = rowsOf("deliveries", "notificationId = ?");
  const jobs = rowsOf("jobs", "id in (select id from deliveries where notificationId = ?)");
  db.transaction(() => {
    for (let copy = 1; copy < mails / USERS; copy++) {
      const ids = new Map([...notifications, ...deliveries].map(({ id }) => [String(id), uuidv7()]));
      for (const row of notifications) insert(db, "notifications", renamed(row, ids));
      // Offsets below those of the server are its own to give.
      for (const [n, row] of recipients.entries())
        insert(db, "notification_recipients", { ...renamed(row, ids), seq: -(copy * USERS + n) });
      for (const row of deliveries) insert(db, "deliveries", renamed(row, ids));
      for (const row of jobs) insert(db, "jobs", { ...renamed(row, ids), seq: null });
    }
  }).immediate();
  db.close();
}

function renamed(row: Row, ids: ReadonlyMap<string, string>): Row {
  const rename = (value: unknown): unknown => {
    if (typeof value !== "string") return value;
    return ids.get(value) ?? value.replaceAll(/[0-9a-f-]{36}/g, (id) => ids.get(id) ?? id);
  };
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, rename(value)]));
}

function insert(db: Database, table: string, row: Row): void {
  const names = Object.keys(row);
  const values = names.map((name) => `@${name}`);
  db.prepare(`insert into ${table} (${names.join(", ")}) values (${values.join(", ")})`).run(row);
}
