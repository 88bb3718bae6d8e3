import { DAY_MS, HOUR_MS, toRfc3339 } from "../../core/clock.ts";
import { SAMPLE_DOMAIN } from "../../core/vocabulary.ts";

/**
 * What `prism seed` puts into a database. Everything has a name by which it is known again, so that
 * a second run creates nothing twice.
 */

/** Numbers of items to create. */
export interface SeedAmounts {
  /** Accounts besides `admin`. */
  readonly users: number;
  readonly events: number;
  readonly tasks: number;
}

export const PLAIN: SeedAmounts = { users: 1, events: 20, tasks: 5 };
export const DEMO: SeedAmounts = { users: 5, events: 500, tasks: 25 };

export interface SampleAccount {
  readonly username: string;
  readonly email: string;
  readonly name: string;
  readonly role: string;
}

export const ADMIN: SampleAccount = account("admin", "Anna Weber", "Admin");

const PEOPLE: readonly SampleAccount[] = [
  account("user", "Tom Fischer", "User"),
  account("operator", "Jonas Keller", "Operator"),
  account("rule-manager", "Priya Nair", "RuleManager"),
  account("viewer", "Claire Martin", "Viewer"),
  account("auditor", "David Novak", "Auditor"),
];

/** `admin` and this many others, the first five with one role each. */
export function sampleAccounts(count: number): readonly SampleAccount[] {
  const more = Array.from({ length: Math.max(0, count - PEOPLE.length) }, (_, at) => {
    const number = String(at + PEOPLE.length + 1).padStart(3, "0");
    return account(`user-${number}`, `User ${number}`, "User");
  });
  return [ADMIN, ...PEOPLE.slice(0, count), ...more];
}

function account(username: string, name: string, role: string): SampleAccount {
  return { username, name, role, email: `${username}@${SAMPLE_DOMAIN}` };
}

/** Title, status, priority, and the day on which it is due. */
const TASKS = [
  ["Read the rules and test one of them", "TODO", 500, 2],
  ["Send a first event from the web shop", "IN_PROGRESS", 800, 1],
  ["Restore the last backup on another machine", "TODO", 900, 3],
  ["Invite the support team", "DONE", 100, null],
  ["Write down who is called at night", "TODO", 300, 7],
  ["Renew the certificate of the shop", "IN_PROGRESS", 700, 4],
  ["Replace the disk of db-2", "TODO", 950, 0],
  ["Raise the threshold of the disk rule to 90 %", "DONE", 200, null],
  ["Add the new payment provider to the allow list", "TODO", 600, 5],
  ["Review accounts without a login for 90 days", "TODO", 400, 10],
  ["Move the nightly export to 03:00", "DONE", 300, null],
  ["Check why search is slow on Mondays", "IN_PROGRESS", 650, 2],
  ["Describe the steps after a failed payment", "TODO", 350, 6],
  ["Order two spare power supplies", "CANCELLED", 100, null],
  ["Rotate the API key of the build server", "TODO", 750, 3],
  ["Test the notification on the on-call phone", "DONE", 800, null],
  ["Delete the old staging project", "TODO", 150, 14],
  ["Agree on quiet hours with the team", "DONE", 250, null],
  ["Measure the restore time of the database", "TODO", 450, 9],
  ["Add a rule for login attempts from new addresses", "IN_PROGRESS", 550, 4],
  ["Prepare the maintenance window in December", "TODO", 500, 12],
  ["Update the runbook for mail problems", "TODO", 300, 8],
  ["Compare payouts with the bank statement", "IN_PROGRESS", 600, 1],
  ["Give the auditor access to the audit trail", "DONE", 200, null],
  ["Plan the upgrade of the order service", "TODO", 400, 20],
] as const;

/** @param at 0-based. @param now start of the day that counts as 0. */
export function sampleTask(at: number, now: number) {
  const [title, status, priority, dueDay] = TASKS[at % TASKS.length] ?? TASKS[0];
  const round = Math.floor(at / TASKS.length);
  const dueAt = dueDay === null ? null : toRfc3339(now + (dueDay + 0.5) * DAY_MS);
  return { title: round === 0 ? title : `${title} (${round + 1})`, status, priority, dueAt };
}

const SOURCES = ["web", "billing", "search", "mailer"] as const;
const PATHS = ["/checkout", "/search", "/internal/export", "/orders"] as const;
/** Too few to raise an alert, for any number of events. */
const MAX_ERRORS = 5;

/** @param at 0-based. @param of total number: the last event is now, the first a day ago. */
export function sampleEvent(at: number, of: number, now: number) {
  const turn = Math.floor(at / 4);
  const shared = {
    dedupeKey: eventKey(at),
    source: SOURCES[turn % SOURCES.length] ?? SOURCES[0],
    occurredAt: toRfc3339(now - Math.floor(((of - 1 - at) / Math.max(1, of)) * DAY_MS)),
  };
  const orderId = `A-${1000 + at}`;
  if (at % 4 === 3 && at < 4 * MAX_ERRORS)
    return {
      ...shared,
      type: "service.failed",
      level: "error",
      payload: { message: "connection refused", attempt: at },
    };
  switch (at % 4) {
    case 0:
      return { ...shared, type: "order.placed", payload: orderOf(at, orderId) };
    case 1: {
      // The payment of each order is attempted twice.
      const tried = `A-${1000 + Math.floor(at / 8) * 8}`;
      const payload = { orderId: tried, amount: String(900 + at * 10), currency: "EUR", reason: "card declined" };
      return { ...shared, type: "payment.failed", level: "warn", payload };
    }
    case 2: {
      const payload = { path: PATHS[turn % PATHS.length], durationMs: 1500 + (turn % 10) * 200 };
      return { ...shared, type: "request.slow", level: "warn", payload };
    }
    default:
      return { ...shared, type: "user.signed_up", payload: { plan: turn % 2 === 0 ? "free" : "pro" } };
  }
}

function orderOf(at: number, orderId: string) {
  const tags = at % 8 === 0 ? ["regular", "eu"] : ["new"];
  return { orderId, customer: `customer-${at % 17}`, orders: at % 13, amount: 20 + (at % 90), tags };
}

/** Dedupe key of an event. */
export function eventKey(at: number): string {
  return `seed:${String(at + 1).padStart(6, "0")}`;
}

/** Slugs of the demo projects. */
export const PROJECT = { infra: "infra", shop: "shop" } as const;

interface DemoEvent {
  readonly type: string;
  readonly source: string;
  readonly level: "debug" | "info" | "warn" | "error" | "fatal";
  readonly projectId: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** Single events: hours before now, and the event. */
const INCIDENTS: readonly (readonly [number, DemoEvent])[] = [
  [140, host("down", "web-3", { seconds: 95, checks: 3 })],
  [139.6, host("up", "web-3", { downForSeconds: 1440 })],
  [62, host("down", "cache-1", { seconds: 60, checks: 2 })],
  [61.9, host("down", "cache-1", { seconds: 120, checks: 3 })],
  [61.2, host("up", "cache-1", { downForSeconds: 2900 })],
  [30, infra("backup.failed", "backup", "error", { host: "db-1", reason: "The disk is full", lastGood: "Thursday" })],
  [18, infra("certificate.expiring", "monitor", "warn", { host: "shop.prism.example", days: 12 })],
  [5, infra("disk.usage", "monitor", "warn", { host: "db-2", mount: "/var", usedPercent: 91, freeGb: 18 })],
  [0.45, web("login.failed", "auth", "warn", { account: "finance", attempts: 6, country: "unknown" })],
  [0.2, host("down", "db-2", { seconds: 90, checks: 3 })],
  [0.15, host("down", "db-2", { seconds: 270, checks: 3 })],
];

function host(state: "down" | "up", name: string, more: object): DemoEvent {
  return infra(`host.${state}`, "monitor", state === "down" ? "fatal" : "info", { host: name, ...more });
}

function infra(type: string, source: string, level: DemoEvent["level"], payload: DemoEvent["payload"]): DemoEvent {
  return { type, source, level, projectId: PROJECT.infra, payload };
}

function web(type: string, source: string, level: DemoEvent["level"], payload: DemoEvent["payload"]): DemoEvent {
  return { type, source, level, projectId: "default", payload };
}

const HOSTS = ["web-1", "web-2", "web-3", "db-1", "db-2"] as const;
const SERVICES = ["checkout", "search", "catalogue", "accounts"] as const;
const AUTHORS = ["Jonas Keller", "Priya Nair", "Sofia Rossi"] as const;
const REASONS = ["card declined", "card declined", "insufficient funds", "3-D Secure not completed"] as const;

/** Kinds of everyday events with their shares. */
const KINDS: readonly (readonly [share: number, make: (n: number) => DemoEvent])[] = [
  [30, order],
  [10, (n) => web("payment.received", "billing", "info", { orderId: orderId(n), amount: amount(n), currency: "EUR" })],
  [8, failedPayment],
  [10, (n) => web("request.slow", "web", "warn", { path: of(PATHS, n), durationMs: 1500 + ((n * 37) % 24) * 120 })],
  [9, (n) => web("user.signed_up", "web", "info", { plan: n % 3 === 0 ? "business" : "free" })],
  [
    9,
    (n) => web("login.failed", "auth", "warn", { account: `customer-${n % 40}`, attempts: 1 + (n % 4), country: "DE" }),
  ],
  [
    9,
    (n) =>
      infra("disk.usage", "monitor", "info", {
        host: of(HOSTS, n),
        mount: "/",
        usedPercent: 40 + (n % 40),
        freeGb: 120,
      }),
  ],
  [5, deployment],
  [
    5,
    (n) =>
      infra("backup.done", "backup", "info", { host: of(HOSTS, n), sizeGb: 12 + (n % 30), seconds: 240 + (n % 90) }),
  ],
  [3, (n) => web("report.sent", "reports", "debug", { report: "daily sales", recipients: 4 + (n % 3) })],
  [2, (n) => web("service.failed", "search", "error", { message: "connection refused", attempt: 1 + (n % 3) })],
];

function of<T>(list: readonly T[], n: number): T | undefined {
  return list[n % list.length];
}

function orderId(n: number): string {
  return `A-${1000 + n}`;
}

function amount(n: number): string {
  return `${20 + ((n * 53) % 480)}.${String((n * 7) % 100).padStart(2, "0")}`;
}

function order(n: number): DemoEvent {
  const tags = n % 8 === 0 ? ["regular", "eu"] : ["new"];
  const payload = { orderId: orderId(n), customer: `customer-${n % 40}`, orders: n % 13, amount: amount(n), tags };
  return { type: "order.placed", source: "webshop", level: "info", projectId: PROJECT.shop, payload };
}

/** Every payment is tried twice; some are large. */
function failedPayment(n: number): DemoEvent {
  const tried = Math.floor(n / 20) * 20;
  const sum = tried % 60 === 0 ? String(1100 + (tried % 900)) : amount(tried);
  const payload = { orderId: orderId(tried), amount: sum, currency: "EUR", reason: of(REASONS, n) };
  return web("payment.failed", "billing", "warn", payload);
}

function deployment(n: number): DemoEvent {
  const payload = {
    service: of(SERVICES, n),
    version: `4.${n % 30}.0`,
    author: of(AUTHORS, n),
    seconds: 60 + (n % 50),
  };
  return infra("deploy.finished", "ci", "info", payload);
}

/** How far back the history of the demo goes. */
export const HISTORY_MS = 7 * DAY_MS;
/** Share of the events that are of the last hours. */
const RECENT = 0.3;
const RECENT_MS = 2 * HOUR_MS;

/** Time of an event: few at night and at weekends, many in the last hours. */
function timeOf(share: number, now: number, hours: readonly number[]): number {
  if (share >= 1 - RECENT) return now - RECENT_MS * ((1 - share) / RECENT);
  const total = hours.reduce((sum, weight) => sum + weight, 0);
  let left = (share / (1 - RECENT)) * total;
  for (const [at, weight] of hours.entries()) {
    if (left < weight) return now - HISTORY_MS + (at + left / weight) * HOUR_MS;
    left -= weight;
  }
  return now - RECENT_MS;
}

/** How busy each hour of the last week was, except the last ones. */
function busyHours(now: number): number[] {
  return Array.from({ length: (HISTORY_MS - RECENT_MS) / HOUR_MS }, (_, at) => {
    const time = new Date(now - HISTORY_MS + at * HOUR_MS);
    const isWeekend = time.getUTCDay() % 6 === 0;
    const byDay = 1 + 3 * Math.max(0, Math.sin(((time.getUTCHours() - 6) / 14) * Math.PI));
    return byDay * (isWeekend ? 0.4 : 1);
  });
}

/** A number that looks random and is the same for each run. */
function mixed(n: number): number {
  return Math.imul((n + 1) ^ 0x9e3779b9, 0x85ebca6b) >>> 8;
}

function everyday(at: number): DemoEvent {
  const total = KINDS.reduce((sum, [share]) => sum + share, 0);
  let left = mixed(at) % total;
  for (const [share, make] of KINDS) {
    if (left < share) return make(at);
    left -= share;
  }
  return order(at);
}

/** The events of a week with the keys by which they are known again, oldest first. */
export function demoEvents(count: number, now: number): (DemoEvent & { readonly at: number; readonly key: string })[] {
  const hours = busyHours(now);
  const incidents = INCIDENTS.slice(0, count).map(([hoursAgo, event], at) => ({
    ...event,
    at: Math.floor(now - hoursAgo * HOUR_MS),
    key: `demo:incident:${at + 1}`,
  }));
  const others = count - incidents.length;
  const events = Array.from({ length: others }, (_, at) => ({
    ...everyday(at),
    at: Math.floor(timeOf((at + 1) / others, now, hours)),
    key: `demo:${String(at + 1).padStart(6, "0")}`,
  }));
  return [...events, ...incidents].sort((a, b) => a.at - b.at);
}
