import { createServer, type Server } from "node:http";
import { DAY_MS, HOUR_MS, MINUTE_MS, toRfc3339 } from "../../../core/clock.ts";
import { ServerRefused } from "../../output/exit-codes.ts";
import type { Page, ServerClient } from "../../server-client.ts";
import { seedRespond } from "./demo-respond.ts";
import * as demo from "./demo-samples.ts";
import { seedWatch } from "./demo-watch.ts";
import { counted, type Filled, type PastClock, type SeededKind, type SeedFill, until } from "./fill.ts";
import * as samples from "./samples.ts";

/** How long after its receipt people read a notification. */
const READ_AFTER_MS = 4 * MINUTE_MS;
/** From this priority on they acknowledge it. */
const ACKNOWLEDGED = 500;
/** Younger ones are unread. */
const UNREAD_MS = 40 * MINUTE_MS;

interface Notification {
  readonly id: string;
  readonly priority: number;
}

/** Fills every page of the console. @param clock of a server with a new database. */
export class DemoFill {
  readonly #fill: SeedFill;
  readonly #clock: PastClock | null;
  readonly #usernames: readonly string[];
  #receivers: readonly Server[] = [];
  #acknowledged = 0;

  /** @param usernames of the existing accounts, `admin` first. */
  constructor(fill: SeedFill, clock: PastClock | null, usernames: readonly string[]) {
    this.#fill = fill;
    this.#clock = clock;
    this.#usernames = usernames;
  }

  /** Order matters: history is decided by rules and sent to people who exist already. */
  async run(amounts: samples.SeedAmounts): Promise<Filled> {
    this.#receivers = await Promise.all(demo.RECEIVERS.map(receiveWebhooks));
    try {
      return await this.#run(amounts);
    } finally {
      for (const receiver of this.#receivers) close(receiver);
    }
  }

  async #run({ events, tasks }: samples.SeedAmounts): Promise<Filled> {
    const now = Date.now();
    const roles = await this.#role();
    const colleagues = await this.#colleagues();
    const { apiKey, ...projects } = await this.#projects();
    const kinds = [
      roles,
      colleagues,
      projects,
      await this.#sounds(),
      await this.#rules(),
      await this.#fill.buckets([...samples.BUCKETS, ...demo.BUCKETS]),
      await this.#webhooks(),
      await this.#schedules(now),
      await this.#preferences(apiKey !== null),
      await this.#events(events, now),
    ];
    this.#clock?.set();
    return {
      kinds: [
        ...kinds,
        await this.#fill.tasks(tasks, this.#usernames),
        await this.#notification(),
        await this.#messages(),
        await this.#timers(),
        await this.#lostReminders(),
        // Its routes are for the alerts of the heartbeats too.
        ...(await seedRespond(this.#fill)),
        ...(await seedWatch(this.#fill, this.#usernames)),
        await this.#publication(apiKey !== null),
        await this.#invitation(apiKey !== null),
        await this.#backup(),
      ],
      apiKey,
    };
  }

  #admin = (): Promise<ServerClient> => this.#fill.as(samples.ADMIN.username);

  /** The account, or with fewer accounts `admin`. */
  #name(username: string): string {
    return this.#usernames.includes(username) ? username : samples.ADMIN.username;
  }

  #role(): Promise<SeededKind> {
    return this.#fill.each("roles", [demo.ON_CALL], async (role) => {
      if (await this.#fill.has("/api/v1/roles", {}, ({ name }) => name === role.name)) return false;
      await (await this.#admin()).post("/api/v1/roles", role);
      return true;
    });
  }

  #colleagues(): Promise<SeededKind> {
    return this.#fill.each("colleagues", demo.COLLEAGUES, async (person) => {
      if ((await this.#fill.findUser(person.username)) !== undefined) return false;
      const email = `${person.username}@${samples.MAIL_DOMAIN}`;
      await this.#fill.operator.post("/api/v1/operator/users", { ...person, email });
      return true;
    });
  }

  async #projects(): Promise<SeededKind & { readonly apiKey: string | null }> {
    let shopKey: string | null = null;
    const path = "/api/v1/projects";
    const made = await this.#fill.each("projects", [demo.INFRA, demo.SHOP], async (project) => {
      if (await this.#fill.has(path, {}, ({ slug }) => slug === project.slug)) return false;
      const admin = await this.#admin();
      const { apiKey } = await admin.post<{ apiKey: string }>(path, project);
      for (const userId of this.#usernames.slice(1, 3))
        await admin.post(`${path}/${project.slug}/members`, { userId, role: "editor" });
      await admin.post(`${path}/${project.slug}/members`, { userId: "sofia.rossi", role: "viewer" });
      if (project !== demo.SHOP) return true;
      shopKey = apiKey;
      await admin.change("PATCH", `${path}/${project.slug}`, demo.SHOP_SETTINGS);
      for (const key of demo.SHOP_KEYS) await admin.post(`${path}/${project.slug}/keys`, key);
      return true;
    });
    return { ...made, apiKey: shopKey };
  }

  #sounds(): Promise<SeededKind> {
    return this.#fill.each("sounds", demo.SOUNDS, async ({ filename, hz }) => {
      if (await this.#fill.has("/api/v1/sounds", {}, (sound) => sound["filename"] === filename)) return false;
      await (await this.#admin()).upload("/api/v1/sounds", demo.toneFile(hz), { filename });
      return true;
    });
  }

  async #rules(): Promise<SeededKind> {
    const kind = await this.#fill.rules([...samples.RULES, ...demo.RULES]);
    if (kind.made === 0) return kind;
    for await (const rule of this.#fill.operator.list<{ id: string; name: string; version: number }>("/api/v1/rules")) {
      if (rule.version > 1) continue;
      for (const [name, change] of demo.RULE_CHANGES)
        if (name === rule.name) await (await this.#admin()).change("PUT", `/api/v1/rules/${rule.id}`, change);
    }
    return kind;
  }

  /** None are created when the settings refuse calls to this machine. */
  #webhooks(): Promise<SeededKind> {
    const path = "/api/v1/webhooks";
    const ports = this.#receivers.map((server) => portOf(server));
    return this.#fill.each("webhooks", demo.webhooks(ports), async (webhook) => {
      const isSame = (found: Readonly<Record<string, unknown>>) =>
        JSON.stringify(found["eventTypes"]) === JSON.stringify(webhook.eventTypes);
      if (await this.#fill.has(path, { scope: "all" }, isSame)) return false;
      const admin = await this.#admin();
      try {
        await admin.post(path, webhook);
      } catch (error) {
        if (!(error instanceof ServerRefused && error.code === "URL_REFUSED")) throw error;
        this.#fill.out.note(`no webhook for ${webhook.url}: webhooks.allowPrivateCidrs does not have 127.0.0.0/8`);
        return false;
      }
      return true;
    });
  }

  #schedules(now: number): Promise<SeededKind> {
    const path = "/api/v1/schedules";
    return this.#fill.each("schedules", demo.schedules(now), async (schedule) => {
      if (await this.#fill.has(path, { runs: 0 }, ({ name }) => name === schedule.name)) return false;
      const { id } = await (await this.#admin()).post<{ id: string }>(path, schedule);
      if (schedule.cron?.endsWith("* * *")) await (await this.#admin()).post(`${path}/${id}/run`, {});
      return true;
    });
  }

  #preferences(isFirst: boolean): Promise<SeededKind> {
    const owners = [...this.#usernames.slice(0, demo.PREFERENCES.length).entries()];
    return this.#fill.each("preferences", owners, async ([at, username]) => {
      // The preferences of real people stay as they are.
      if (!isFirst || this.#fill.isPerson(username)) return false;
      const client = await this.#fill.as(username);
      await client.change("PUT", "/api/v1/users/me/preferences", demo.PREFERENCES[at]);
      return true;
    });
  }

  /** What cannot be found again. @param isFirst whether no run has created the demo projects. */
  #once<T>(
    kind: string,
    isFirst: boolean,
    wanted: readonly T[],
    make: (item: T) => Promise<unknown>,
  ): Promise<SeededKind> {
    return this.#fill.each(kind, wanted, async (item) => {
      if (isFirst) await make(item);
      return isFirst;
    });
  }

  /** With a clock of its own the server receives them one after the other, otherwise all at once. */
  async #events(count: number, now: number): Promise<SeededKind> {
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
      return counted("events", made);
    }
    const progress = this.#fill.out.progress("storing events");
    const made: boolean[] = [];
    for (let from = 0; from < events.length; ) {
      const first = events[from]?.at ?? now;
      const slotMs = first < now - DAY_MS ? 2 * HOUR_MS : first < now - 2 * HOUR_MS ? 20 * MINUTE_MS : MINUTE_MS;
      const until = events.findIndex(({ at }) => at > first + slotMs);
      const slot = events.slice(from, until < 0 ? events.length : until);
      progress.update(from, events.length);
      if (first > now - demo.BROKEN_MS) close(broken);
      this.#clock.set(slot.at(-1)?.at);
      made.push(...(await this.#fill.events(slot.map(bodyOf))));
      await this.#decided();
      if (first < now - 2 * HOUR_MS) this.#clock.set((slot.at(-1)?.at ?? now) + READ_AFTER_MS);
      if (first < now - UNREAD_MS) await this.#read();
      from += slot.length;
    }
    progress.end();
    return counted("events", made);
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
    for (const username of new Set([this.#name("operator"), samples.ADMIN.username])) {
      const query = { userId: await this.#fill.idOf(username), status: "unread", limit: 50 };
      const { data } = await this.#fill.operator.get<Page<Notification>>("/api/v1/notifications", query);
      // Without a past of its own only the older half has been read.
      const seen = this.#clock ? data : data.slice(data.length / 2);
      for (const { id, priority } of seen) {
        const client = await this.#fill.as(username);
        if (priority >= ACKNOWLEDGED) {
          const note = demo.NOTES[this.#acknowledged++ % demo.NOTES.length];
          await client.change("PUT", `/api/v1/notifications/${id}/acknowledge`, { note });
        } else await client.change("PATCH", `/api/v1/notifications/${id}/read`, {});
      }
    }
  }

  /** To all users, from `admin`: one has acknowledged it, one has opened its link. */
  #notification(): Promise<SeededKind> {
    const { title } = demo.WELCOME;
    return this.#fill.each("notifications", [demo.WELCOME], async (notification) => {
      if (await this.#fill.has("/api/v1/notifications/all", { q: title }, (found) => found["title"] === title))
        return false;
      const admin = await this.#admin();
      const body = { ...notification, recipients: this.#usernames };
      const { id } = await admin.post<{ id: string }>("/api/v1/notifications", body);
      const reader = await this.#fill.as(this.#usernames[1] ?? samples.ADMIN.username);
      await reader.change("PUT", `/api/v1/notifications/${id}/acknowledge`, {});
      await admin.post(`/api/v1/notifications/${id}/webview-action`, { action: "open" });
      return true;
    });
  }

  async #messages(): Promise<SeededKind> {
    const userId = await this.#fill.idOf(samples.ADMIN.username);
    const { data } = await this.#fill.operator.get<Page<object>>("/api/v1/messages", { userId, limit: 1 });
    const exist = data.length > 0;
    return this.#fill.each("messages", demo.MESSAGES, async ({ from, to, content, ...more }) => {
      if (exist) return false;
      const delayMs = "delayMs" in more ? more.delayMs : 0;
      const body = { recipientId: this.#name(to), content, delayMs };
      const sender = await this.#fill.as(this.#name(from));
      const { id } = await sender.post<{ id: string }>("/api/v1/messages", body);
      if (!("isRead" in more) || !more.isRead) return true;
      const state = async () =>
        (await sender.get<{ status: string }>(`/api/v1/messages/${id}/status`)).status === "delivered";
      await until(state);
      await (await this.#fill.as(this.#name(to))).change("PATCH", `/api/v1/messages/${id}/read`, {});
      return true;
    });
  }

  /** One more is cancelled. */
  async #timers(): Promise<SeededKind> {
    const path = "/api/v1/timers";
    const labels = new Set<unknown>();
    for await (const { label } of this.#fill.operator.list<{ label: string }>(path)) labels.add(label);
    return this.#fill.each("timers", demo.TIMERS, async ({ label, delayMs, text }) => {
      if (labels.has(label)) return false;
      const admin = await this.#admin();
      const action = { type: "notify", payload: { userId: "me", title: label, message: text } };
      const create = () => admin.post<{ jobId: string }>("/api/v1/time/trigger", { label, delayMs, action });
      if (label === demo.TIMERS[0].label) await admin.delete(`${path}/${(await create()).jobId}`);
      await create();
      return true;
    });
  }

  /** Timers that die: their user has been disabled since. */
  async #lostReminders(): Promise<SeededKind> {
    const kind = (isMade: boolean) =>
      counted(
        "dead jobs",
        demo.LOST_REMINDERS.map(() => isMade),
      );
    const id = await this.#fill.idOf(demo.FORMER);
    const { status } = await this.#fill.operator.get<{ status: string }>(`/api/v1/users/${id}`);
    if (status === "disabled") return kind(false);
    const admin = await this.#admin();
    const runAt = toRfc3339(Date.now() + 1500);
    for (const label of demo.LOST_REMINDERS) {
      const action = { type: "notify", payload: { userId: demo.FORMER, title: label, message: "As every month" } };
      await admin.post("/api/v1/time/trigger", { label, runAt, action });
    }
    await admin.change("PATCH", `/api/v1/users/${id}`, { status: "disabled" });
    await until(async () => {
      const { total } = await this.#fill.operator.get<{ total: number }>("/api/v1/jobs/counts", {
        queue: "timers",
        state: "dead",
      });
      return total >= demo.LOST_REMINDERS.length;
    });
    return kind(true);
  }

  #backup(): Promise<SeededKind> {
    const path = "/api/v1/backups";
    return this.#fill.each("backups", [path], async () => {
      if ((await this.#fill.operator.get<Pick<Page<object>, "data">>(path)).data.length > 0) return false;
      const { jobId } = await (await this.#admin()).post<{ jobId: string }>(path, {});
      await until(async () => {
        const { state } = await this.#fill.operator.get<{ state: string }>(`/api/v1/jobs/${jobId}`);
        return state !== "ready" && state !== "running";
      });
      return true;
    });
  }

  /** In the present: it ends after a week. */
  #invitation(isFirst: boolean): Promise<SeededKind> {
    return this.#once("invitations", isFirst, [demo.INVITED], async (invited) =>
      (await this.#admin()).post(`/api/v1/projects/${demo.SHOP.slug}/members`, invited),
    );
  }

  /** An entry of a channel, for followers who read it from the start. */
  #publication(isFirst: boolean): Promise<SeededKind> {
    return this.#once("publications", isFirst, [demo.PUBLICATION], async (publication) =>
      (await this.#admin()).post("/api/v1/realtime/publish", publication),
    );
  }
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
