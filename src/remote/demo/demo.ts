import { createServer, type Server } from "node:http";
import { DAY_MS, HOUR_MS, MINUTE_MS, toRfc3339 } from "../../core/time/clock.ts";
import type { Page } from "../server-client.ts";
import { counted, type PastClock, type SeededData, type SeededKind, type SeedFill, until } from "./fill.ts";
import * as samples from "./samples.ts";
import { type DemoTable, DemoWalk, demoTable } from "./walk.ts";

/** Ports of this machine where the command itself answers webhooks; the second ends before it does. */
const PORTS = [9911, 9912] as const;
/** How long the second has not answered. */
const BROKEN_MS = 44 * HOUR_MS;
/** How long after its receipt people read a notification. */
const READ_AFTER_MS = 4 * MINUTE_MS;
/** From this priority on they acknowledge it. */
const ACKNOWLEDGED = 500;
/** Younger ones are unread. */
const UNREAD_MS = 40 * MINUTE_MS;
const ROUTING = "/api/v1/routes";
const ALERTS = "/api/v1/alerts";
const INCIDENTS = "/api/v1/incidents";
const PROJECT = "default";

interface Notification {
  readonly id: string;
  readonly priority: number;
}

/** Fills every page of the console, as examples/demo.json says. @param clock of a server with a new database. */
export class DemoFill {
  readonly #fill: SeedFill;
  readonly #clock: PastClock | null;
  readonly #usernames: readonly string[];
  readonly #table: DemoTable = demoTable();
  #receivers: readonly Server[] = [];
  #acknowledged = 0;

  /** @param usernames of the existing accounts, `admin` first. */
  constructor(fill: SeedFill, clock: PastClock | null, usernames: readonly string[]) {
    this.#fill = fill;
    this.#clock = clock;
    this.#usernames = usernames;
  }

  /** Order matters: history is decided by rules and sent to people who exist already. */
  async run({ events, tasks }: samples.SeedAmounts): Promise<SeededData> {
    this.#receivers = await Promise.all(PORTS.map(receiveWebhooks));
    try {
      const walk = new DemoWalk(this.#fill, await this.#variables());
      const own: Readonly<Record<string, () => Promise<readonly SeededKind[]>>> = {
        events: () => this.#events(events, Date.now()),
        tasks: async () => [await this.#fill.tasks(tasks, this.#usernames)],
        policies: () => this.#respond(),
        incidents: async () => [await this.#incidents()],
      };
      const kinds: SeededKind[] = [];
      for (const step of this.#table.steps) kinds.push(...((await own[step.kind]?.()) ?? [await walk.step(step)]));
      return { kinds, apiKey: walk.apiKey };
    } finally {
      for (const receiver of this.#receivers) close(receiver);
    }
  }

  /** Names in braces of the table. */
  async #variables() {
    const [admin = samples.ADMIN, second, third] = this.#usernames;
    const known = (username: string) => (this.#usernames.includes(username) ? username : admin);
    // No person is put on call: sample data would page them, and test the way to them each week.
    const team = this.#usernames.filter((username) => !this.#fill.isPerson(username)).slice(0, 3);
    const turns = team.map((username) => [username]);
    const [chatPort, ordersPort] = this.#receivers.map(portOf);
    return {
      ...{ second, third, chatPort, ordersPort, turns, turnsReversed: turns.toReversed() },
      ...{ usernames: this.#usernames, user: known("user"), operator: known("operator"), reader: second ?? admin },
      adminId: await this.#fill.idOf(admin),
      lastOnCall: team.at(-1) ?? admin,
      weekAgo: toRfc3339(Date.now() - 7 * DAY_MS).slice(0, 10),
      clockChangeDay: clockChangeDay(Date.now()),
    };
  }

  /** With a clock of its own the server receives them one after the other, otherwise all at once. */
  async #events(count: number, now: number): Promise<readonly SeededKind[]> {
    const events = samples.demoEvents(count, now);
    const bodyOf = ({ at, key, ...event }: (typeof events)[number]) => ({
      ...event,
      dedupeKey: key,
      occurredAt: toRfc3339(at),
    });
    const [, broken] = this.#receivers;
    if (!this.#clock) {
      close(broken);
      const made = await this.#fill.events(events.map(bodyOf));
      if (made.includes(true)) {
        await this.#decided();
        await this.#read();
      }
      return [counted("events", made)];
    }
    const progress = this.#fill.out.progress("storing events");
    const made: boolean[] = [];
    for (let from = 0; from < events.length; ) {
      const first = events[from]?.at ?? now;
      const slotMs = first < now - DAY_MS ? 2 * HOUR_MS : first < now - 2 * HOUR_MS ? 20 * MINUTE_MS : MINUTE_MS;
      const until = events.findIndex(({ at }) => at > first + slotMs);
      const slot = events.slice(from, until < 0 ? events.length : until);
      progress.update(from, events.length);
      if (first > now - BROKEN_MS) close(broken);
      this.#clock.set(slot.at(-1)?.at);
      made.push(...(await this.#fill.events(slot.map(bodyOf))));
      await this.#decided();
      if (first < now - 2 * HOUR_MS) this.#clock.set((slot.at(-1)?.at ?? now) + READ_AFTER_MS);
      if (first < now - UNREAD_MS) await this.#read();
      from += slot.length;
    }
    progress.end();
    this.#clock.set();
    return [counted("events", made)];
  }

  /** Waits until the rules have decided about all events. */
  #decided(): Promise<void> {
    return until(async () => {
      const query = { processed: "false", projectId: "*", limit: 1 };
      return (await this.#fill.operator.get<Page<object>>("/api/v1/events", query)).data.length === 0;
    });
  }

  /** People read what is new, and acknowledge what is urgent with a note. */
  async #read(): Promise<void> {
    const { notes } = this.#table;
    const operator = this.#usernames.includes("operator") ? "operator" : samples.ADMIN;
    for (const username of new Set([operator, samples.ADMIN])) {
      const query = { userId: await this.#fill.idOf(username), status: "unread", limit: 50 };
      const { data } = await this.#fill.operator.get<Page<Notification>>("/api/v1/notifications", query);
      // Without a past of its own only the older half has been read.
      const seen = this.#clock ? data : data.slice(data.length / 2);
      for (const { id, priority } of seen) {
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
    const missing = policies.filter(({ name }) => !known.some((each) => each.name === name));
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
        policies.map((policy) => missing.includes(policy)),
      ),
      counted("routes", [isFirst]),
      counted("contact rules", [hasContactRules]),
    ];
  }

  async #incidentOf(name: string): Promise<string | undefined> {
    const query = { projectId: PROJECT, q: name };
    for await (const { id, title } of this.#fill.operator.list<{ id: string; title: string }>(INCIDENTS, query))
      if (title.includes(name)) return id;
    return undefined;
  }

  /** Fires the alerts, waits for the first notification, and acts like a person on call. */
  #incidents(): Promise<SeededKind> {
    const { incidents, checkouts } = this.#table.respond;
    return this.#fill.each("incidents", incidents, async (incident) => {
      const { name, act, by = samples.ADMIN, notes = [], isOver } = incident;
      if ((await this.#incidentOf(name)) !== undefined) return false;
      const admin = await this.#fill.as(samples.ADMIN);
      const alerts = alertsOf(incident, Date.now());
      if (alerts.length > 0) await admin.post(ALERTS, { projectId: PROJECT, alerts });
      else await this.#fill.events(checkouts);
      let id: string | undefined;
      await until(async () => {
        id = await this.#incidentOf(name);
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

/** Answers webhooks while the command runs; each tenth call fails at first. */
function receiveWebhooks(port: number): Promise<Server> {
  let calls = 0;
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(++calls % 10 === 0 ? 503 : 204).end();
  });
  return new Promise((resolve, reject) => {
    const listen = (wanted: number) => server.listen({ host: "127.0.0.1", port: wanted });
    server.once("listening", () => resolve(server.unref()));
    // Another program has the port.
    server.once("error", () => listen(0).once("error", reject));
    listen(port);
  });
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function close(server: Server | undefined): void {
  server?.closeAllConnections();
  server?.close();
}
