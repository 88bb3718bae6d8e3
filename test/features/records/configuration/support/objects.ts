import type * as v from "valibot";
import type { ConfigKind, Spec } from "../../../../../src/module/config-kind.ts";
import { Chance, type Choose, drawn, type Known } from "./values.ts";

/** An object in the form of requests, with names in place of ids and secrets in plain text. */
export interface Made {
  readonly kind: string;
  readonly project: string | null;
  readonly name: string;
  readonly spec: Spec;
}

const HOST = "https://127.0.0.1:8443";
const ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"];
export const INTERVALS = ["office", "night: 22–6", "weekend"];
const SEVERITIES = ["critical", "error", "warning", "info"];
const MATCHERS = ['severity="critical"', 'team=~"db|web"', 'env!="test"', 'alertname!~"Info.*"', 'note="a \\"b\\", c"'];
const CONDITIONS = [
  "event.type == 'payment.failed'",
  "event.payload.amount > 500",
  'event.type == "a" or event.type == "b"',
];
const TEMPLATES = ["{{ event.type }}", "Total: {{ event.payload.amount }} €", "plain: text # 1"];
const TYPES = ["*", "payment.*", "door.opened"];
const TIME_INTERVALS = [
  { weekdays: ["monday:friday"], times: [{ start_time: "09:00", end_time: "17:00" }], location: "Europe/Berlin" },
  {
    times: [
      { start_time: "22:00", end_time: "24:00" },
      { start_time: "00:00", end_time: "06:00" },
    ],
  },
  { weekdays: ["saturday", "sunday"], months: ["january:march"], days_of_month: ["1:5", "-3:-1"] },
];
const PRESETS: Readonly<Record<string, (chance: Chance) => object>> = {
  ntfy: (chance) => ({ url: HOST, topic: hex(chance, 12), ...(chance.is(50) && { token: `tk_${hex(chance, 12)}` }) }),
  gotify: (chance) => ({ url: `${HOST}/gotify`, token: hex(chance, 20) }),
  mattermost: (chance) => ({ url: `${HOST}/hooks/${hex(chance, 26)}` }),
  pushover: (chance) => ({ token: hex(chance, 30), user: hex(chance, 30), ...(chance.is(50) && { device: "phone" }) }),
  pagerduty: (chance) => ({ key: hex(chance, 32), ...(chance.is(50) && { component: "a: b # c" }) }),
};
const HMAC = {
  scheme: "hmac",
  header: "x-sig",
  algorithm: "sha256",
  encoding: "hex",
  keyForm: "text",
  signed: ["{body}"],
};

export function hex(chance: Chance, length: number): string {
  return Array.from({ length }, () => chance.integer(0, 15).toString(16)).join("");
}

const oneOf =
  (...values: readonly unknown[]): Choose =>
  (chance) =>
    chance.one(values);
/** One of them, or the default. */
const maybe =
  (...values: readonly unknown[]): Choose =>
  (chance) =>
    chance.is(50) ? undefined : chance.one(values);
const someOf =
  (values: readonly unknown[], least = 0): Choose =>
  (chance) =>
    chance.is(40) ? undefined : chance.some(values, least, 3);

/** What only people know of members. Others follow from their schema. */
const MEMBERS: Readonly<Record<string, Choose>> = {
  "*.timezone": maybe(...ZONES),
  "*.labels": (chance) =>
    chance.is(50) ? undefined : { team: "db", [`l${chance.integer(0, 9)}`]: chance.one(TEMPLATES) },
  "*.severity": maybe(...SEVERITIES),
  "*.matchers": someOf(MATCHERS, 1),
  "*.eventTypes": someOf(TYPES, 1),
  "*.targetMatchers": (chance) => chance.some(MATCHERS, 1, 2),
  "*.sourceMatchers": (chance) => chance.some(MATCHERS, 1, 2),
  "projects.timezone": oneOf(...ZONES),
  "projects.storageBytes": maybe(null, 1_073_741_824, 5_000_000_000),
  "projects.weekly": maybe("mon 09:00", "sun 23:59"),
  // It changes who is notified, and its end asks: features/mirror has its tests.
  "projects.mirror": () => undefined,
  "roles.permissions": (chance) =>
    chance.some(["incidents:act", "oncall:write", "rules:read", "events:read", "buckets:read"]),
  "people.locale": maybe("en", "de-AT", "pt-BR"),
  "people.contactRules": () => undefined,
  "people.invite": () => true,
  "oncall.calendarUrl": (chance) => (chance.is(70) ? undefined : `${HOST}/calendar/${hex(chance, 16)}.ics`),
  // Files refuse two shifts of one name.
  "oncall.shifts.name": (chance) => `${chance.one(TEMPLATES)} ${hex(chance, 8)}`,
  "oncall.shifts.start": (chance) =>
    `2026-${month(chance)}-${String(chance.integer(1, 28)).padStart(2, "0")}T0${chance.integer(0, 9)}:30:00`,
  "oncall.shifts.durationMs": (chance) => chance.integer(1, 12) * 3_600_000,
  "oncall.shifts.recurrence": (chance) =>
    chance.one([
      null,
      { frequency: "daily" },
      { frequency: "weekly", interval: 2, byDay: ["MO", "TH"] },
      { frequency: "weekly", weekStart: "SU" },
      { frequency: "monthly", byMonthDay: [1, -1], until: "2027-12-31T00:00:00.000Z" },
      { frequency: "monthly", byDay: ["1MO"], byMonth: [1, 6, 12] },
    ]),
  "oncall.shifts.anchor": () => undefined,
  "rules.channels": someOf(["in_app", "pusher", "service"], 1),
  "rules.condition": oneOf(...CONDITIONS),
  "rules.resolve": maybe(...CONDITIONS),
  "rules.targetRoles": someOf(["Admin", "User"]),
  "rules.titleTemplate": maybe(null, ...TEMPLATES),
  "rules.messageTemplate": maybe(null, ...TEMPLATES),
  "rules.key": oneOf(...TEMPLATES.slice(0, 2)),
  "rules.sound": () => undefined,
  "rules.action": maybe(
    null,
    { type: "url", url: "https://example.com/a?b=c&d=%20", label: "Open: it" },
    { type: "open" },
  ),
  "rules.annotations": maybe({ summary: "{{ event.type }} failed", runbook_url: "https://example.com/" }),
  "channels.template": maybe(null, { title: "{{ n.title }}: yes" }),
  "channels.preset": oneOf(...Object.keys(PRESETS)),
  "channels.fields": () => undefined,
  "policies.steps.channel": () => undefined,
  "policies.steps.interval": oneOf(...INTERVALS),
  "policies.steps.url": (chance) => `${HOST}/hook/${hex(chance, 8)}`,
  "policies.steps.roles": someOf(["Admin", "User"]),
  "policies.fallback": () => undefined,
  "routes.route.routes": () => undefined,
  "routes.muteIntervals": someOf(INTERVALS),
  "routes.activeIntervals": someOf(INTERVALS),
  "routes.groupBy": someOf(["alertname", "team", "..."].slice(0, 2), 1),
  "routes.equal": someOf(["site", "team"], 1),
  "routes.timeIntervals": (chance) => INTERVALS.map((name) => ({ name, intervals: chance.some(TIME_INTERVALS, 1, 2) })),
  "heartbeats.tags": someOf(["backup", "db", "a:b", "ü"]),
  "heartbeats.slug": () => undefined,
  "heartbeats.kind": () => undefined,
  "heartbeats.schedule": maybe(null, "30 2 * * *", "Mon..Fri 02:00"),
  "heartbeats.fedBy": () => undefined,
  "heartbeats.ping": () => undefined,
  "receivers.preset": () => "generic",
  "receivers.mapping": maybe(
    null,
    { title: "= body.title", level: "= body.severity", output: "both" },
    { let: { a: "= body.a" }, type: "x.{{ a }}" },
  ),
  "receivers.verify": () => undefined,
  "receivers.secret": () => undefined,
  "receivers.token": () => undefined,
  "*.forwardUrl": () => undefined,
  "*.forwardHeaders": () => undefined,
  "integrations.key": () => undefined,
  "statusPage.groups.components.sources.tag": () => undefined,
  "statusPage.groups.components.sources.heartbeats": () => undefined,
  "webhooks.url": oneOf(HOST),
  "ntfyTopics.patterns": someOf(TYPES, 1),
  "ntfyAccess.everyone": (chance) => rights(chance),
  "buckets.threshold": (chance) => String(chance.integer(0, 10_000) / 4),
  "buckets.currentBalance": () => "0",
  "jobs.queue": () => "timers",
  "jobs.kind": () => "timer",
  "jobs.payload": oneOf(
    { action: { type: "event", event: "a.b" } },
    { action: { type: "event", event: "a.c", payload: { n: 1, text: "yes" } } },
  ),
  "jobs.cron": maybe("0 9 * * *", "*/5 * * * 1-5"),
  "jobs.everyMs": () => undefined,
};

const month = (chance: Chance) => String(chance.integer(1, 12)).padStart(2, "0");

function rights(chance: Chance): Readonly<Record<string, string>> {
  const patterns = chance.some(["alerts", "backup-*", "constructor", "*"], 1, 3);
  return Object.fromEntries(patterns.map((each) => [each, chance.one(["none", "read", "write", "read-write"])]));
}

function groups(chance: Chance, heartbeats: readonly string[]): object[] {
  const source = () => ({
    ...chance.one([
      { heartbeats: chance.some(heartbeats, 1, 3) },
      { tag: "db" },
      { matchers: chance.some(MATCHERS, 1, 2) },
    ]),
    effect: chance.one(["degraded", "partial", "outage"]),
  });
  const component = (n: number) => ({ name: `Part ${n}: yes`, ...(chance.is(50) && { sources: [source()] }) });
  return [0, 1].map((n) => ({
    name: `Group ${n}`,
    components: [0, 1, 2].slice(0, chance.integer(0, 3)).map(component),
  }));
}

/** Names that files could read as something else. */
const ENDS = ["", " ü", " #1", ": a", " 'x'", ' "y"', " – ☃", " & <b>", " *", " {z}", " $(id)", " 日本"];

/** The name of the object of this number. */
export function nameOf(kind: string, n: number): string {
  if (kind === "people") return `person-${n}`;
  if (kind === "projects") return `team-${n}`;
  if (kind === "webhooks") return `${HOST}/hook/${n}?a=${n}&b=%20`;
  if (kind === "ntfyTopics") return `topic-${n}`;
  if (kind === "buckets") return `Refunds ${n}${ENDS[n % ENDS.length]} ${n % 2 === 0 ? "EUR" : "USD"}`;
  return `${kind} ${n}${ENDS[n % ENDS.length]}`;
}

const FIRST = ["people", "roles", "projects", "members", "routes"] as const;
const PEOPLE = 6;
export const PROJECTS = [nameOf("projects", 0), nameOf("projects", 1)];

/** Objects that chance makes, of the kinds of a server. */
export class Objects {
  readonly #kinds: readonly ConfigKind[];
  readonly #seed: number;
  readonly made: Made[] = [];

  constructor(kinds: readonly ConfigKind[], seed: number) {
    this.#kinds = kinds;
    this.#seed = seed;
  }

  /** So many objects of all kinds, besides a few that they name. The first ones do not depend on the number. */
  fill(count: number): this {
    for (let n = 0; n < PEOPLE; n++) this.add("people", null, n);
    for (const [n, slug] of PROJECTS.entries()) {
      this.add("projects", null, n);
      this.add("members", slug, 0);
      this.add("routes", slug, 0);
    }
    const others = this.#kinds.filter(({ kind }) => !FIRST.some((first) => first === kind) || kind === "roles");
    for (let n = 0; n < count; n++) {
      const { kind, scope, isSingle } = others[n % others.length] as ConfigKind;
      const turn = Math.floor(n / others.length);
      const slug = scope === "server" ? null : (PROJECTS[turn % PROJECTS.length] as string);
      if (isSingle && this.made.some((each) => each.kind === kind && each.project === slug)) continue;
      this.add(kind, slug, turn);
    }
    return this;
  }

  /** @param again another form of the object of this number */
  add(kind: string, project: string | null, n: number, again = 0): Made {
    const made = this.draw(kind, project, n, again);
    const at = this.made.findIndex((each) => each.kind === kind && each.project === project && each.name === made.name);
    if (at < 0) this.made.push(made);
    else this.made[at] = made;
    return made;
  }

  draw(kind: string, project: string | null, n: number, again = 0): Made {
    const of = this.#kinds.find((each) => each.kind === kind && (each.scope === "project") === (project !== null));
    if (!of) throw new TypeError(kind);
    const place = [...`${kind} ${project} ${n} ${again}`].reduce((sum, each) => (sum * 31 + each.charCodeAt(0)) | 0, 7);
    const chance = new Chance(this.#seed ^ place);
    const known: Known = {
      members: MEMBERS,
      names: (named) => this.names(named, project),
    };
    const key = of.key ?? "name";
    const entries = of.entries();
    const name = of.isSingle ? kind : nameOf(kind, n);
    const spec = Object.fromEntries(
      Object.entries(entries).flatMap(([member, schema]) => {
        if (member === key && !of.isSingle) return [[member, name]];
        const value =
          this.#whole(kind, member, project, chance) ??
          drawn(schema as v.GenericSchema, chance, known, `${kind}.${member}`);
        return value === undefined ? [] : [[member, value]];
      }),
    );
    return { kind, project, name, spec: this.#mended(kind, project, spec, chance, n) };
  }

  names(kind: string, project: string | null): string[] {
    const all = this.made.filter((each) => each.kind === kind && (each.project === project || each.project === null));
    return all.map(({ name }) => name);
  }

  /** Members that name others in another way than by their schema. */
  #whole(kind: string, member: string, project: string | null, chance: Chance): unknown {
    const people = this.names("people", project);
    const beats = this.names("heartbeats", project);
    if (kind === "statusPage" && member === "groups") return groups(chance, beats);
    if (kind === "members")
      return Object.fromEntries([
        ["dev", "owner"],
        ...people.map((each) => [each, chance.one(["owner", "editor", "viewer"])]),
      ]);
    if (kind === "ntfyAccess" && member === "users")
      return Object.fromEntries(chance.some(people, 0, 3).map((each) => [each, rights(chance)]));
    if (kind === "people" && member === "roles") return chance.some(["Admin", "User", "Operator"], 1, 2);
    return undefined;
  }

  /** What members say of each other. */
  #mended(kind: string, project: string | null, given: Spec, chance: Chance, n: number): Spec {
    const spec: Record<string, unknown> = { ...given };
    if (kind === "people") {
      spec["email"] = `person-${n}@example.com`;
      spec["phone"] = chance.is(50) ? `+49170${String(1_000_000 + n)}` : undefined;
      delete spec["invite"];
    }
    if (kind === "channels") spec["fields"] = PRESETS[String(spec["preset"])]?.(chance);
    if (kind === "rules") {
      const states = ["suppression", "dedupe", "threshold", "absence", "alert"].filter((each) => spec[each] != null);
      const kept = states.length > 0 ? chance.one(states) : undefined;
      for (const each of states) if (each !== kept) delete spec[each];
      if (kept === "absence" || kept === "alert") delete spec["cooldownMs"];
      const targets = [spec["targetRoles"], spec["targetUsers"]] as (readonly string[] | undefined)[];
      if (targets.every((each) => (each ?? []).length === 0)) spec["targetRoles"] = ["Admin"];
    }
    if (kind === "heartbeats") {
      if (spec["schedule"]) delete spec["timeoutMs"];
      else delete spec["timezone"];
      if (!spec["schedule"] && chance.is(20)) spec["fedBy"] = 'alertname=~"Watchdog|Other",env!="test"';
      if (chance.is(30)) spec["slug"] = `slug-${n}`;
    }
    if (kind === "receivers" && chance.is(50)) {
      spec["secret"] = hex(chance, 24);
      spec["verify"] = chance.one([null, [HMAC]]);
    }
    if (kind === "jobs" && spec["cron"] === undefined) {
      spec["everyMs"] = chance.integer(1, 50) * 60_000;
      delete spec["timezone"];
    }
    if (kind === "policies") spec["fallback"] = maybe(null, ...this.names("policies", project))(chance, "");
    if (kind === "routes") spec["route"] = this.#route(project, chance, 0);
    return Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined));
  }

  #route(project: string | null, chance: Chance, depth: number): Spec {
    const policies = ["default", ...this.names("policies", project)];
    const child = depth > 0;
    return {
      policy: chance.one(policies),
      ...(child && { matchers: chance.some(MATCHERS, 1, 2), continue: chance.is(30) }),
      ...(child && chance.is(40) && { activeIntervals: chance.some(INTERVALS, 1, 2) }),
      ...(child && chance.is(30) && { muteIntervals: chance.some(INTERVALS, 1, 2) }),
      ...(chance.is(50) && { groupBy: chance.some(["alertname", "team", "env"], 1, 2) }),
      ...(chance.is(50) && { groupWaitMs: chance.one([0, 30_000, 1500]), repeatMs: chance.integer(1, 48) * 3_600_000 }),
      ...(depth < 2 && {
        routes: Array.from({ length: chance.integer(0, 3) }, () => this.#route(project, chance, depth + 1)),
      }),
    };
  }
}
