import { DAY_MS, HOUR_MS, MINUTE_MS } from "../../../core/clock.ts";
import { MAIL_DOMAIN, PROJECT } from "./samples.ts";

/** What `prism seed --demo` adds: a small company with a web shop and a few servers. */

export const SHOP = { name: "Web shop", slug: PROJECT.shop } as const;
export const INFRA = { name: "Infrastructure", slug: PROJECT.infra } as const;
/** Its members get a digest each morning. */
export const SHOP_SETTINGS = { settings: { digest: true } } as const;
export const INVITED = { email: `freelance@${MAIL_DOMAIN}`, role: "viewer" } as const;
export const SHOP_KEYS = [
  { name: "Checkout service", scopes: ["events:write"] },
  { name: "Reports", scopes: ["events:read"] },
] as const;

export const ON_CALL = {
  name: "On-call team",
  description: "Reads events and rules, sends notifications, retries jobs",
  permissions: [
    ...(["events:read", "rules:read", "sounds:read", "notifications:send", "jobs:read", "jobs:manage"] as const),
    ...(["timers:create", "messages:own", "tasks:own", "system:status"] as const),
  ],
} as const;

/** Who has left: timers for this user fail. */
export const FORMER = "peter.lang";

/** Accounts without a password. */
export const COLLEAGUES = [
  { username: "lena.hoffmann", name: "Lena Hoffmann", status: "pending", roles: ["User"] },
  { username: "marek.dvorak", name: "Marek Dvořák", status: "pending", roles: ["User"] },
  { username: "sofia.rossi", name: "Sofia Rossi", status: "active", roles: [ON_CALL.name] },
  { username: "emma.johnson", name: "Emma Johnson", status: "active", roles: ["User"] },
  { username: FORMER, name: "Peter Lang", status: "active", roles: ["User"] },
] as const;

export const SOUNDS = [
  { filename: "seed-bell.wav", hz: 880 },
  { filename: "seed-alarm.wav", hz: 1320 },
] as const;

const [BELL, ALARM] = SOUNDS;

export const RULES = [
  {
    name: "Host is down",
    description: "A host does not answer the monitor. Calls the people on call, also at night",
    condition: "event.type == 'host.down'",
    targetRoles: ["Admin", "Operator", ON_CALL.name],
    channels: ["in_app", "webhook"],
    titleTemplate: "{{ event.host }} is down",
    messageTemplate: "No answer for {{ event.seconds }} s, seen by {{ event.checks }} of 3 monitors",
    priority: 800,
    sound: ALARM.filename,
    dedupe: { key: "{{ event.host }}", windowMs: 1_800_000 },
    action: { type: "open", url: "https://wiki.prism.example/runbooks/host-down", label: "Runbook" },
    projectId: INFRA.slug,
  },
  {
    name: "Backup failed",
    condition: "event.type == 'backup.failed'",
    targetRoles: ["Admin", "Operator"],
    channels: ["in_app", "webhook"],
    titleTemplate: "Backup of {{ event.host }} failed",
    messageTemplate: "{{ event.reason }}. The last good one is from {{ event.lastGood }}",
    priority: 600,
    projectId: INFRA.slug,
  },
  {
    name: "Disk almost full",
    condition: "event.type == 'disk.usage' && event.usedPercent >= 80",
    targetRoles: ["Operator"],
    titleTemplate: "{{ event.host }}: disk {{ event.usedPercent }} % full",
    messageTemplate: "{{ event.freeGb }} GB are left on {{ event.mount }}",
    priority: 300,
    dedupe: { key: "{{ event.host }} {{ event.mount }}", windowMs: 86_400_000 },
    projectId: INFRA.slug,
  },
  {
    name: "Deployment finished",
    condition: "event.type == 'deploy.finished'",
    targetRoles: ["Admin", "Operator"],
    channels: ["in_app", "webhook"],
    titleTemplate: "{{ event.service }} {{ event.version }} is live",
    messageTemplate: "Deployed by {{ event.author }} in {{ event.seconds }} s",
    priority: 50,
    suppression: { count: 3, windowMs: 3_600_000, mode: "batch" },
    projectId: INFRA.slug,
  },
  {
    name: "Repeated failed logins",
    description: "Five or more attempts on one account; one notification an hour",
    condition: "event.type == 'login.failed' && event.attempts >= 5",
    targetRoles: ["Admin"],
    titleTemplate: "{{ event.attempts }} failed logins for {{ event.account }}",
    messageTemplate: "From {{ event.country }}, the account is not locked",
    priority: 400,
    cooldownMs: HOUR_MS,
    projectId: "default",
  },
  {
    name: "Order of a regular customer",
    description: "For members of the shop alone",
    condition: "event.type == 'order.placed' and (event.orders >= 10 or 'regular' in event.tags)",
    targetRoles: ["Operator", "User"],
    channels: ["in_app", "webhook"],
    titleTemplate: "{{ event.customer }} has ordered again",
    messageTemplate: "Order {{ event.orderId }} over {{ event.amount }} {{ event.currency | default:'EUR' }}",
    action: { type: "open", url: "https://shop.prism.example/orders", label: "Orders" },
    sound: BELL.filename,
    suppression: { count: 2, windowMs: HOUR_MS },
    projectId: SHOP.slug,
  },
  {
    name: "Certificate expires soon",
    description: "Disabled: certificates are renewed automatically",
    condition: "event.type == 'certificate.expiring' && event.days < 14",
    targetRoles: ["Admin"],
    active: false,
    projectId: INFRA.slug,
  },
  {
    name: "CheckoutFails",
    description: "Three failed checkouts within ten minutes, until one works",
    condition: "event.type == 'checkout.failed'",
    titleTemplate: "The checkout in {{ event.country }} fails",
    messageTemplate: "{{ event.reason }}",
    threshold: { count: 3, windowMs: 10 * MINUTE_MS, key: "{{ event.country }}" },
    alert: {
      key: "{{ event.country }}",
      labels: { team: "shop", country: "{{ event.country }}", prism_demo: "true" },
      severity: "critical",
      resolve: "event.type == 'checkout.worked'",
    },
    projectId: "default",
  },
] as const;

/** They pass the rule about checkouts. */
export const FAILED_CHECKOUTS = [1, 2, 3].map((n) => ({
  type: "checkout.failed",
  level: "warn",
  source: "webshop",
  dedupeKey: `seed-checkout-${n}`,
  payload: { country: "CH", reason: "The payment provider answers 503" },
}));

/** Later versions of rules, by name. */
export const RULE_CHANGES = [
  ["Disk almost full", { condition: "event.type == 'disk.usage' && event.usedPercent >= 85" }],
  [
    "Disk almost full",
    { condition: "event.type == 'disk.usage' && event.usedPercent >= 85 && event.mount != '/tmp'", priority: 350 },
  ],
  ["Host is down", { priority: 900 }],
] as const;

export const BUCKETS = [
  { name: "Customer refunds", currency: "EUR", currentBalance: "18240.75", threshold: "5000" },
  { name: "Suppliers", currency: "GBP", currentBalance: "41300.00", threshold: "20000" },
  { name: "Payroll", currency: "CHF", currentBalance: "96500.00", threshold: "90000" },
] as const;

/** Ports of this machine where the command itself answers webhooks; the second ends before it does. */
export const RECEIVERS = [9911, 9912] as const;
/** How long the second has not answered. */
export const BROKEN_MS = 44 * HOUR_MS;

/** @param ports where the command answers. */
export function webhooks([chat, orders]: readonly number[]) {
  const urlOf = (port: number | undefined, name: string) => `http://127.0.0.1:${port}/hooks/${name}`;
  return [
    { url: urlOf(chat, "chat"), eventTypes: ["host.*", "backup.*", "deploy.*"], projectId: INFRA.slug },
    { url: urlOf(orders, "orders"), eventTypes: ["order.*"], projectId: SHOP.slug },
    { url: urlOf(chat, "phone"), eventTypes: ["host.*", "deploy.*"] },
  ];
}

const note = (userId: string, title: string, message: string) => ({
  type: "notify",
  payload: { userId, title, message },
});

/** Schedules of the queue `timers`. */
export function schedules(now: number) {
  const zone = "Europe/Berlin";
  return [
    {
      name: "Daily stand-up",
      cron: "50 8 * * 1-5",
      timezone: zone,
      action: note("admin", "Stand-up", "In ten minutes"),
    },
    {
      name: "Weekly payout report",
      cron: "0 7 * * 1",
      timezone: zone,
      action: note("operator", "Payout report", "Compare the payouts with the bank statement"),
    },
    {
      name: "Nightly stock count",
      cron: "30 2 * * *",
      timezone: zone,
      action: { type: "event", event: "stock.counted", payload: { warehouse: "north" } },
    },
    {
      // At an hour that the clock skips in spring and shows twice in autumn.
      name: "Inventory, twice a year",
      cron: `30 2 ${dstDay(now)} 3,10 *`,
      timezone: zone,
      action: note("admin", "Inventory", "The count starts in the warehouse"),
    },
    {
      name: "Price feed",
      everyMs: 15 * MINUTE_MS,
      active: false,
      action: { type: "event", event: "prices.wanted", payload: { feed: "wholesale" } },
    },
  ].map(({ action, ...schedule }) => ({
    ...schedule,
    label: schedule.name,
    queue: "timers",
    kind: "timer",
    payload: { action },
  }));
}

/** One-shot timers of the administrator. */
export const TIMERS = [
  { label: "Check db-2 after the disk change", delayMs: 45 * MINUTE_MS, text: "Is the array in sync again?" },
  { label: "End of the maintenance window", delayMs: 5 * HOUR_MS, text: "Tell the support team that all is back" },
  { label: "Call the payment provider", delayMs: 22 * HOUR_MS, text: "Ask about the declined cards" },
] as const;

/** Reminders of the user who has left. */
export const LOST_REMINDERS = [
  "Change the backup disk",
  "Read the meter of rack 3",
  "Renew the parking permit",
] as const;

export const MESSAGES = [
  {
    from: "operator",
    to: "admin",
    content: "db-2 is slow again. I have ordered a new disk, it comes tomorrow.",
    isRead: true,
  },
  {
    from: "admin",
    to: "operator",
    content: "Thank you. Please move the nightly export to db-1 until then.",
    isRead: true,
  },
  { from: "user", to: "admin", content: "The customer of order A-1037 asks when the refund arrives.", isRead: false },
  { from: "admin", to: "user", content: "It was sent this morning, it takes two days.", isRead: false },
  { from: "admin", to: "operator", content: "The maintenance window starts in an hour.", delayMs: 3 * HOUR_MS },
] as const;

/** Of the administrator and another user. */
export const PREFERENCES = [
  { minPriority: 100 },
  { quietHours: { from: "22:00", to: "07:00" }, minPriority: 10 },
] as const;

export const WELCOME = {
  title: "Maintenance on Sunday at 06:00",
  message: "The web shop is read-only for about 20 minutes.",
  priority: 50,
  action: { type: "open", url: `https://status.${MAIL_DOMAIN}/`, label: "Status page" },
} as const;

export const PUBLICATION = { stream: "channel:news", type: "seed.opened", data: { text: "The shop is open" } } as const;

/** What people write when they acknowledge. */
export const NOTES = [
  "Restarted the service, watching it",
  "The provider has a problem, they know",
  "Disk is ordered",
  "Was a test of the monitor",
] as const;

/** A WAV file with 8 bit samples on one channel: a fading tone. */
export function toneFile(hz: number): Buffer {
  const perSecond = 8000;
  const count = perSecond / 2;
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + count, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(perSecond, 24);
  head.writeUInt32LE(perSecond, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34);
  head.write("data", 36);
  head.writeUInt32LE(count, 40);
  const samples = Buffer.alloc(count);
  for (let at = 0; at < count; at++) {
    const wave = Math.sin((2 * Math.PI * hz * at) / perSecond);
    samples[at] = 128 + Math.round(100 * wave * (1 - at / count));
  }
  return Buffer.concat([head, samples]);
}

/** Day of the month of the next clock change in Germany, a Sunday. */
function dstDay(now: number): number {
  const offsetOf = (at: number) =>
    new Intl.DateTimeFormat("en", { timeZone: "Europe/Berlin", timeZoneName: "longOffset" })
      .formatToParts(at)
      .find(({ type }) => type === "timeZoneName")?.value;
  const midnight = new Date(now).setUTCHours(0, 0, 0, 0);
  for (let day = 0; day < 366; day++) {
    const at = midnight + day * DAY_MS;
    if (offsetOf(at) !== offsetOf(at + DAY_MS)) return new Date(at).getUTCDate();
  }
  return 28;
}
