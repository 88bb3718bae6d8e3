import { DAY_MS, toRfc3339 } from "../../../core/clock.ts";

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

/** A top-level domain without mail servers (RFC 2606). */
const MAIL_DOMAIN = "prism.example";

export interface SampleAccount {
  readonly username: string;
  readonly email: string;
  readonly name: string;
  readonly role: string;
}

export const ADMIN: SampleAccount = account("admin", "Ada Admin", "Admin");

const PEOPLE: readonly SampleAccount[] = [
  account("user", "Uma User", "User"),
  account("operator", "Oskar Operator", "Operator"),
  account("rule-manager", "Rita Rulemaker", "RuleManager"),
  account("viewer", "Vera Viewer", "Viewer"),
  account("auditor", "Aron Auditor", "Auditor"),
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
  return { username, name, role, email: `${username}@${MAIL_DOMAIN}` };
}

/** Bodies of `POST /rules`; each shows another kind of throttling. */
export const RULES = [
  {
    name: "Large payment failed",
    description: "One notice for an order, however often its payment is tried",
    condition: "event.type == 'payment.failed' && dec(event.amount) >= dec('1000')",
    targetRoles: ["Admin", "Operator"],
    titleTemplate: "Payment of {{ event.amount }} {{ event.currency | default:'EUR' }} failed",
    messageTemplate: "Order {{ event.orderId }}: {{ event.reason | default:'no reason given' }}",
    priority: 600,
    dedupe: { key: "{{ event.orderId }}", windowMs: 3_600_000 },
    projectId: "default",
  },
  {
    name: "Errors of a service",
    description: "At most five notifications per minute and service, then one notice per storm",
    condition: "event.level == 'error' or event.level == 'fatal'",
    targetRoles: ["Admin"],
    titleTemplate: "{{ event.source | upper }}: {{ event.type }}",
    messageTemplate: "{{ event.message | default:'no message' }} at {{ event.occurredAt | date }}",
    priority: 500,
    suppression: { count: 5, windowMs: 60_000, mode: "suppress", key: "{{ event.source }}" },
    projectId: "default",
  },
  {
    name: "Slow requests",
    description: "The notice of a storm has samples; after each notification a cooldown of 15 minutes",
    condition: "event.type == 'request.slow' and event.durationMs > 2000 and not startsWith(event.path, '/internal')",
    targetRoles: ["Admin", "Operator"],
    titleTemplate: "Slow: {{ event.path }}",
    messageTemplate: "{{ event.path }} took {{ event.durationMs }} ms",
    priority: 100,
    suppression: { count: 10, windowMs: 300_000, mode: "batch" },
    cooldownMs: 900_000,
    projectId: "default",
  },
] as const;

export const BELL = { filename: "seed-bell.wav" } as const;

export const DEMO_RULES = [
  {
    name: "Order of a regular customer",
    description: "For members of the shop alone",
    condition: "event.type == 'order.placed' and (event.orders >= 10 or 'regular' in event.tags)",
    targetRoles: ["Operator", "User"],
    titleTemplate: "{{ event.customer }} has ordered again",
    messageTemplate: "Order {{ event.orderId }} over {{ event.amount }} {{ event.currency | default:'EUR' }}",
    action: { type: "open", url: "https://shop.prism.example/orders", label: "Orders" },
    sound: BELL.filename,
    projectId: "shop",
  },
  {
    name: "Debug events",
    description: "A rule that is not active",
    condition: "startsWith(event.type, 'debug.')",
    targetRoles: ["Admin"],
    active: false,
    projectId: "default",
  },
] as const;

export const BUCKETS = [
  { name: "Payouts", currency: "EUR", currentBalance: "125000.50", threshold: "50000" },
  { name: "Payouts", currency: "USD", currentBalance: "8000.0000", threshold: "10000" },
] as const;

export const SHOP = { name: "Shop", slug: "shop" } as const;
/** Its members get a digest each morning. */
export const SHOP_SETTINGS = { settings: { digest: true } } as const;

export const SCHEDULE = {
  name: "seed: stand-up",
  cron: "0 9 * * 1-5",
  queue: "timers",
  kind: "timer",
  payload: {
    action: { type: "notify", payload: { userId: "admin", title: "Stand-up", body: "In ten minutes" } },
  },
} as const;

export const MESSAGE = {
  recipientId: "admin",
  content: "Welcome to Prism. I come ten minutes late, on purpose.",
  delayMs: 600_000,
};

export const PREFERENCES = { quietHours: { from: "22:00", to: "07:00" }, minPriority: 10 } as const;

export const WELCOME = {
  title: "Welcome to Prism",
  message: "Sent by hand, to all users.",
  priority: 50,
  action: { type: "open", url: "https://prism.example/", label: "Look around" },
} as const;

export const PUBLICATION = { stream: "channel:news", type: "seed.opened", data: { text: "The shop is open" } } as const;

const BELL_HZ = 880;
const BELL_SAMPLES_PER_SECOND = 8000;
const BELL_SECONDS = 0.5;

/** A WAV file with 8 bit samples on one channel: a fading tone. */
export function bellSound(): Buffer {
  const count = BELL_SAMPLES_PER_SECOND * BELL_SECONDS;
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + count, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(BELL_SAMPLES_PER_SECOND, 24);
  head.writeUInt32LE(BELL_SAMPLES_PER_SECOND, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34);
  head.write("data", 36);
  head.writeUInt32LE(count, 40);
  const samples = Buffer.alloc(count);
  for (let at = 0; at < count; at++) {
    const wave = Math.sin((2 * Math.PI * BELL_HZ * at) / BELL_SAMPLES_PER_SECOND);
    samples[at] = 128 + Math.round(100 * wave * (1 - at / count));
  }
  return Buffer.concat([head, samples]);
}

const TASKS = [
  ["Look at the rules and try one", "TODO", 500],
  ["Send a first event", "IN_PROGRESS", 800],
  ["Make a backup and restore it elsewhere", "TODO", 900],
  ["Invite the colleagues", "DONE", 100],
  ["Write down who is called at night", "TODO", 300],
] as const;

/** @param at 0-based */
export function sampleTask(at: number) {
  const [title, status, priority] = TASKS[at % TASKS.length] ?? TASKS[0];
  const round = Math.floor(at / TASKS.length);
  return { title: round === 0 ? title : `${title} (${round + 1})`, status, priority };
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

/** Whether an event belongs to the demo shop. */
export function isOfShop({ type }: { readonly type: string }): boolean {
  return type === "order.placed";
}

/** Dedupe key of an event. */
export function eventKey(at: number): string {
  return `seed:${String(at + 1).padStart(6, "0")}`;
}
