import { DAY_MS, HOUR_MS, toRfc3339 } from "../../core/time/clock.ts";
import type { Page } from "../server-client.ts";
import { counted, type SeededData, type SeededKind, type SeedFill, until } from "./fill.ts";
import { PAST_DAYS } from "./past.ts";
import type { NewServer, PastFill } from "./past-fill.ts";
import * as samples from "./samples.ts";
import { type DemoTable, DemoWalk, demoTable } from "./walk.ts";

/** A server with a clock of its own receives the events of this time together. */
const SLOT_MS = 2 * HOUR_MS;
/** From this priority on they acknowledge it. */
const ACKNOWLEDGED = 500;
const ROUTING = "/api/v1/routes";
const ALERTS = "/api/v1/alerts";
const INCIDENTS = "/api/v1/incidents";
const PROJECT = "default";

interface Notification {
  readonly id: string;
  readonly priority: number;
}

/** Fills every page of the console, as examples/demo.json says. */
export class DemoFill {
  readonly #fill: SeedFill;
  readonly #server: NewServer | null;
  readonly #clock: NewServer["clock"] | null;
  readonly #usernames: readonly string[];
  readonly #table: DemoTable = demoTable();
  #past: PastFill | null = null;
  #acknowledged = 0;

  /** @param server with a new database, which gets a past. @param usernames of the existing accounts, `admin` first. */
  constructor(fill: SeedFill, server: NewServer | null, usernames: readonly string[]) {
    this.#fill = fill;
    this.#server = server;
    this.#clock = server?.clock ?? null;
    this.#usernames = usernames;
  }

  /** Order matters: history is decided by rules and sent to people who exist already. */
  async run({ events, tasks }: samples.SeedAmounts): Promise<SeededData> {
    if (this.#server) {
      const past = await import("./past-fill.ts");
      this.#past = new past.PastFill(this.#fill.operator, this.#server.parts, this.#table);
    }
    const walk = new DemoWalk(this.#fill, await this.#variables());
    const own: Readonly<Record<string, () => Promise<readonly SeededKind[]>>> = {
      events: async () => [await this.#events(samples.demoEvents(events, Date.now()))],
      tasks: async () => [await this.#fill.tasks(tasks, this.#usernames)],
      policies: () => this.#respond(),
      incidents: async () => [
        counted("earlier incidents", (await this.#past?.incidents()) ?? []),
        await this.#incidents(),
      ],
    };
    const kinds: SeededKind[] = [];
    for (const step of this.#table.steps) kinds.push(...((await own[step.kind]?.()) ?? [await walk.step(step)]));
    await this.#past?.finish();
    return { kinds, apiKey: walk.apiKey };
  }

  /** Names in braces of the table. */
  async #variables() {
    const [admin = samples.ADMIN, second, third] = this.#usernames;
    const known = (username: string) => (this.#usernames.includes(username) ? username : admin);
    // No person is put on call: sample data would page them, and test the way to them each week.
    const team = this.#usernames.filter((username) => !this.#fill.isPerson(username)).slice(0, 3);
    const turns = team.map((username) => [username]);
    return {
      ...{ second, third, turns, turnsReversed: turns.toReversed() },
      ...{ usernames: this.#usernames, user: known("user"), operator: known("operator"), reader: second ?? admin },
      adminId: await this.#fill.idOf(admin),
      lastOnCall: team.at(-1) ?? admin,
      // Whole weeks ago, so that the turns of now are those of a schedule that began last week.
      quarterAgo: toRfc3339(Date.now() - (PAST_DAYS + 1) * DAY_MS).slice(0, 10),
      clockChangeDay: clockChangeDay(Date.now()),
    };
  }

  /** Posts them in their order; the clock of a new server goes along. */
  async #events(events: ReturnType<typeof samples.demoEvents>): Promise<SeededKind> {
    const progress = this.#fill.out.progress("storing events");
    const made: boolean[] = [];
    while (made.length < events.length) {
      progress.update(made.length, events.length);
      const rest = events.slice(made.length);
      const end = (rest[0]?.at ?? 0) + SLOT_MS;
      const slot = this.#clock ? rest.filter(({ at }) => at < end) : rest;
      this.#clock?.set(slot.at(-1)?.at);
      const bodies = slot.map(({ at, key, ...event }) => ({ ...event, dedupeKey: key, occurredAt: toRfc3339(at) }));
      const stored = await this.#fill.events(bodies);
      made.push(...stored);
      if (!stored.includes(true)) continue;
      await this.#decided();
      await this.#read();
    }
    progress.end();
    this.#clock?.set();
    return counted("events", made);
  }

  /** Waits until the rules have decided about all events. */
  #decided(): Promise<void> {
    return until(async () => {
      const query = { processed: "false", projectId: "*", limit: 1 };
      return (await this.#fill.operator.get<Page<object>>("/api/v1/events", query)).data.length === 0;
    });
  }

  /** People read the older half of what is new, and acknowledge what is urgent with a note. */
  async #read(): Promise<void> {
    const { notes } = this.#table;
    const operator = this.#usernames.includes("operator") ? "operator" : samples.ADMIN;
    for (const username of new Set([operator, samples.ADMIN])) {
      const query = { userId: await this.#fill.idOf(username), status: "unread", limit: 50 };
      const { data } = await this.#fill.operator.get<Page<Notification>>("/api/v1/notifications", query);
      for (const { id, priority } of data.slice(data.length / 2)) {
        const client = await this.#fill.as(username);
        if (priority >= ACKNOWLEDGED) {
          const note = notes[this.#acknowledged++ % notes.length];
          await client.change("PUT", `/api/v1/notifications/${id}/acknowledge`, { note });
        } else await client.change("PATCH", `/api/v1/notifications/${id}/read`, {});
      }
    }
  }

  /** Policies with routes, and contact rules, in the project `default`. */
  async #respond(): Promise<readonly SeededKind[]> {
    const { policies, route, inhibition, office, contactRules } = this.#table.respond;
    const admin = () => this.#fill.as(samples.ADMIN);
    const stored = await this.#fill.operator.get<Routing>(ROUTING);
    const routes = stored.route.routes ?? [];
    const isFirst = !routes.some(({ matchers }) => matchers?.includes(route.matchers[0] ?? ""));
    const { data: known } = await this.#fill.operator.get<{ data: readonly { name: string }[] }>("/api/v1/policies");
    const schedules = await this.#fill.schedules();
    const missing = policies.flatMap((policy) =>
      known.some(({ name }) => name === policy.name) ? [] : [withIds(policy, schedules)],
    );
    const hasOffice = stored.timeIntervals.some(({ name }) => name === office.name);
    // The project's routes with those of the sample data before them. Steps of policies name
    // intervals of the routes, which name the policies.
    const routing = {
      route: { ...stored.route, routes: [route, ...routes] },
      inhibitRules: [...stored.inhibitRules, inhibition],
      timeIntervals: hasOffice ? stored.timeIntervals : [...stored.timeIntervals, office],
    };
    if (isFirst || missing.length > 0)
      await (await admin()).post(`${ROUTING}/import`, {
        policies: missing,
        ...(isFirst ? { routing } : {}),
        replace: true,
      });
    const hasContactRules = isFirst && !this.#fill.isPerson(samples.ADMIN);
    if (hasContactRules) await (await admin()).change("PUT", "/api/v1/users/me/contact-rules", contactRules);
    return [
      counted(
        "policies",
        policies.map(({ name }) => missing.some((each) => each.name === name)),
      ),
      counted("routes", [isFirst]),
      counted("contact rules", [hasContactRules]),
    ];
  }

  /** @param since leaves out those that were opened before */
  async #incidentOf(name: string, since = 0): Promise<string | undefined> {
    const query = { projectId: PROJECT, q: name };
    for await (const { id, title, openedAt } of this.#fill.operator.list<Opened>(INCIDENTS, query))
      if (title.includes(name) && Date.parse(openedAt) >= since) return id;
    return undefined;
  }

  /** Fires the alerts, waits for the first notification, and acts like a person on call. */
  #incidents(): Promise<SeededKind> {
    const { incidents, checkouts } = this.#table.respond;
    return this.#fill.each("incidents", incidents, async (incident) => {
      const { name, act, by = samples.ADMIN, notes = [], isOver } = incident;
      // Those of the past have the same names.
      const startedAt = Date.now();
      if (!this.#past && (await this.#incidentOf(name)) !== undefined) return false;
      const admin = await this.#fill.as(samples.ADMIN);
      const alerts = alertsOf(incident, Date.now());
      if (alerts.length > 0) await admin.post(ALERTS, { projectId: PROJECT, alerts });
      else await this.#fill.events(checkouts);
      let id: string | undefined;
      await until(async () => {
        id = await this.#incidentOf(name, startedAt);
        if (id === undefined) return false;
        const { timeline } = await admin.get<{ timeline: readonly { kind: string }[] }>(`${INCIDENTS}/${id}`);
        return timeline.some(({ kind }) => kind === "notified" || kind === "withheld" || kind === "no-targets");
      });
      if (id === undefined) return false;
      const person = await this.#fill.as(by);
      if (act) {
        const { action, ...body } = act;
        await person.post(`${INCIDENTS}/${id}/${action}`, body);
      }
      for (const text of notes) await person.post(`${INCIDENTS}/${id}/notes`, { text });
      const resolved = alerts.map((alert) => ({ ...alert, status: "resolved" }));
      if (isOver) await admin.post(ALERTS, { projectId: PROJECT, alerts: resolved });
      return true;
    });
  }
}

interface Opened {
  readonly id: string;
  readonly title: string;
  readonly openedAt: string;
}

type Policy = DemoTable["respond"]["policies"][number];

/** The table names schedules, policies their ids. */
function withIds({ steps, ...policy }: Policy, schedules: ReadonlyMap<string, string>) {
  return {
    ...policy,
    steps: steps.map(({ schedules: named, ...step }) => ({
      ...step,
      ...(named ? { schedules: named.flatMap(({ id }) => ({ id: schedules.get(id) })) } : {}),
    })),
  };
}

interface Routing {
  readonly route: { readonly routes?: readonly { readonly matchers?: readonly string[] }[] };
  readonly inhibitRules: readonly object[];
  readonly timeIntervals: readonly { readonly name: string }[];
}

function alertsOf(
  { name, labels, instances, summary = "", startedMs = 0 }: DemoTable["respond"]["incidents"][number],
  now: number,
) {
  return instances.map((instance) => ({
    labels: { alertname: name, instance, prism_demo: "true", ...labels },
    annotations: { summary, runbook_url: `https://wiki.prism.example/runbooks/${name}` },
    startsAt: toRfc3339(now - startedMs),
  }));
}

/** Day of the month of the next clock change in Germany, a Sunday. */
function clockChangeDay(now: number): number {
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
