import type { Database } from "better-sqlite3";
import { openForWriting } from "../../src/store/sqlite/connection.ts";

/** What an old database has. Each incident has one alert and four entries of its history. */
export interface OldAge {
  readonly events: number;
  readonly notifications: number;
  readonly deliveries: number;
  readonly incidents: number;
}

/** Shorter than the shortest retention of what is filled (30 days). */
const SPAN_MS = 28 * 86_400_000;
const ROWS_PER_COMMIT = 50_000;

type Row = Readonly<Record<string, unknown>>;

/** Lets the numbers of events and entries start behind those that {@link fillOld} uses. */
export function leaveRoom(file: string, { events, notifications }: OldAge): void {
  const db = openForWriting({ file, busyTimeoutMs: 5000 });
  const set = db.prepare(
    "insert into settings (key, value, updatedAt) values (?, ?, 0) on conflict (key) do update set value = excluded.value",
  );
  for (const [name, last] of [
    ["events", events],
    ["streams", notifications],
  ] as const) {
    set.run(`sequence.${name}.last`, last);
    set.run(`sequence.${name}`, last);
  }
  db.close();
}

/**
 * Copies rows of `prism seed --demo` with other ids and earlier times into the data directory of a
 * server that does not run, without waiting for the disk; only a benchmark may do that.
 */
export function fillOld(file: string, age: OldAge): void {
  const db = openForWriting({ file, busyTimeoutMs: 5000 });
  db.pragma("synchronous = OFF");
  db.pragma("foreign_keys = OFF");
  db.pragma("cache_size = -1000000");
  const from = Date.now() - SPAN_MS;
  const timeOf = (n: number, of: number) => from + Math.floor((n * (SPAN_MS - 3_600_000)) / of);
  const idOf = (kind: string, n: number, of: number) => {
    const ms = timeOf(n, of).toString(16).padStart(12, "0");
    return `${ms.slice(0, 8)}-${ms.slice(8)}-7${kind}00-8000-${n.toString(16).padStart(12, "0")}`;
  };
  const admin = db.prepare<[], string>("select id from users where username = 'admin'").pluck().get();
  const rule = "select n.* from notifications n where kind = 'rule' and eventId is not null";
  const resolved = "select i.id from incidents i where state = 'resolved' limit 1";
  const events = samples(db, "select * from events where payload like '%prism_demo%' or type like 'payment%'");
  const notifications = samples(db, rule);
  const recipient = samples(db, "select * from notification_recipients")[0] as Row;
  const [incident] = samples(db, `select * from incidents where id = (${resolved})`);
  const [member] = samples(db, `select * from incident_alerts where incidentId = (${resolved})`);
  const [alert] = samples(db, "select * from alerts where state = 'resolved'");
  const history = samples(db, `select * from incident_log where incidentId = (${resolved}) and kind <> 'note'`);
  copy(db, "events", age.events, (n) => {
    const at = timeOf(n, age.events);
    const times = { occurredAt: at, receivedAt: at, processedAt: at };
    return { ...any(events, n), ...times, seq: n + 1, id: idOf("1", n, age.events), dedupeKey: null };
  });
  const perNotification = Math.floor(age.events / age.notifications);
  const eventOf = (n: number) => idOf("1", n * perNotification, age.events);
  copy(db, "notifications", age.notifications, (n) => {
    const at = timeOf(n, age.notifications);
    const made = { createdAt: at, correlationId: eventOf(n), eventId: eventOf(n), dedupeKey: null };
    return { ...any(notifications, n), ...made, id: idOf("2", n, age.notifications) };
  });
  copy(db, "notification_recipients", age.notifications, (n) => {
    const readAt = n % 3 === 0 ? null : timeOf(n, age.notifications);
    return { ...recipient, notificationId: idOf("2", n, age.notifications), userId: admin, seq: n + 1, readAt };
  });
  copy(db, "decisions", age.notifications, (n) => {
    const notification = any(notifications, n);
    const made = { ruleId: notification["ruleId"], ruleVersion: 1, outcome: "fired", key: null };
    const at = timeOf(n, age.notifications);
    return { ...made, eventSeq: n * perNotification + 1, notificationId: idOf("2", n, age.notifications), at };
  });
  copy(db, "deliveries", age.deliveries, (n) => {
    const at = timeOf(n, age.deliveries);
    const notificationId = idOf("2", n * Math.floor(age.notifications / age.deliveries), age.notifications);
    const state = n % 500 === 0 ? "dead" : "delivered";
    const times = { createdAt: at, updatedAt: at, deliveredAt: state === "dead" ? null : at };
    const what = { notificationId, userId: admin, channel: "email", target: "admin@prism.example", attempts: 1 };
    return { ...what, ...times, id: idOf("3", n, age.deliveries), state };
  });
  copy(db, "incidents", age.incidents, (n) => {
    const at = timeOf(n, age.incidents);
    const times = { openedAt: at, resolvedAt: at + 600_000, updatedAt: at + 600_000, firingSince: at };
    return { ...incident, ...times, id: idOf("4", n, age.incidents), number: 1000 + n };
  });
  copy(db, "alerts", age.incidents, (n) => {
    const at = timeOf(n, age.incidents);
    const times = { startsAt: at, lastAt: at, resolvedAt: at + 600_000, endsAt: at + 600_000 };
    return { ...alert, ...times, id: idOf("5", n, age.incidents), key: `old:${n}` };
  });
  copy(db, "incident_alerts", age.incidents, (n) => {
    const ids = { incidentId: idOf("4", n, age.incidents), alertId: idOf("5", n, age.incidents) };
    return { ...member, ...ids, addedAt: timeOf(n, age.incidents) };
  });
  copy(db, "incident_log", age.incidents * history.length, (n) => {
    const i = Math.floor(n / history.length);
    const entry = { seq: (n % history.length) + 1, at: timeOf(i, age.incidents) };
    return { ...any(history, n), ...entry, incidentId: idOf("4", i, age.incidents) };
  });
  db.close();
}

function samples(db: Database, text: string): readonly Row[] {
  const rows = db.prepare<[], Row>(text).all();
  if (rows.length === 0) throw new Error(`prism seed left no row for: ${text}`);
  return rows;
}

function any(rows: readonly Row[], n: number): Row {
  return rows[n % rows.length] as Row;
}

function copy(db: Database, table: string, count: number, rowOf: (n: number) => Row): void {
  const names = Object.keys(rowOf(0));
  const places = names.map(() => "?").join(", ");
  const insert = db.prepare(`insert into ${table} (${names.join(", ")}) values (${places})`);
  for (let from = 0; from < count; from += ROWS_PER_COMMIT)
    db.transaction(() => {
      for (let n = from; n < Math.min(from + ROWS_PER_COMMIT, count); n++) insert.run(Object.values(rowOf(n)));
    }).immediate();
}
