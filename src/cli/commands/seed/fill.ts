import { randomBytes } from "node:crypto";
import type { App } from "../../../app/start.ts";
import type { AccountContext } from "../../../features/access/context.ts";
import { createUser } from "../../../features/access/users/create-user.ts";
import { ServerRefused } from "../../output/exit-codes.ts";
import type { Output, Progress } from "../../output/output.ts";
import { ServerClient } from "../../server-client.ts";
import type { SampleAccount } from "./samples.ts";
import * as samples from "./samples.ts";

/** 96 bits. */
const PASSWORD_BYTES = 12;

export interface SeededAccount {
  readonly username: string;
  readonly email: string;
  readonly role: string;
  /** Shown only once; null for an existing account. */
  readonly password: string | null;
}

/** Creates the missing accounts with random passwords; existing ones are not changed. */
export async function seedAccounts(
  accounts: AccountContext,
  wanted: readonly SampleAccount[],
  progress: Progress,
): Promise<SeededAccount[]> {
  const { db, passwords } = accounts;
  const seeded: SeededAccount[] = [];
  for (const { username, email, name, role } of wanted) {
    progress.update(seeded.length, wanted.length);
    const taken = await db.read
      .selectFrom("users")
      .select("id")
      .where((e) => e.or([e("username", "=", username), e("email", "=", email)]))
      .where("deletedAt", "is", null)
      .executeTakeFirst();
    let password: string | null = null;
    if (!taken) {
      password = randomBytes(PASSWORD_BYTES).toString("base64url");
      const passwordHash = await passwords.hash(password);
      await db.write((trx) => createUser(accounts, { username, email, name, roles: [role], passwordHash }, trx));
    }
    seeded.push({ username, email, role, password });
  }
  return seeded;
}

/** Number of created and existing items of a kind. */
export interface SeededKind {
  readonly kind: string;
  readonly made: number;
  readonly kept: number;
}

export interface Filled {
  readonly kinds: readonly SeededKind[];
  /** The first key of the demo project, shown only once; null for an existing project. */
  readonly apiKey: string | null;
}

/** Events per request. */
const BATCH = 500;

/**
 * Fills a running server over HTTP like a client: everything is checked, decided and sent as usual.
 * Existing items, by name, are not changed.
 */
export class SeedFill {
  readonly #app: App;
  readonly #out: Output;
  readonly #usernames: readonly string[];
  readonly #clients = new Map<string, Promise<ServerClient>>();

  /** @param usernames of the existing accounts, `admin` first. */
  constructor(app: App, out: Output, usernames: readonly string[]) {
    this.#app = app;
    this.#out = out;
    this.#usernames = usernames;
  }

  async run({ events, tasks }: samples.SeedAmounts, isDemo: boolean): Promise<Filled> {
    const apiKey = isDemo ? await this.#project() : undefined;
    const kinds = [
      ...(isDemo ? [counted("projects", [apiKey !== undefined]), counted("sounds", [await this.#sound()])] : []),
      counted("rules", await this.#rules(isDemo ? [...samples.RULES, ...samples.DEMO_RULES] : samples.RULES)),
      counted("buckets", await this.#buckets()),
      counted("tasks", await this.#tasks(tasks)),
      await this.#events(events, isDemo),
      ...(isDemo ? [counted("schedules", [await this.#schedule()]), counted("messages", [await this.#message()])] : []),
      ...(isDemo ? await this.#extras() : []),
    ];
    return { kinds, apiKey: apiKey ?? null };
  }

  /** @returns the key of the project, undefined if it existed. */
  async #project(): Promise<string | undefined> {
    const { projects } = this.#access;
    if (projects.find(samples.SHOP.slug) !== undefined) return undefined;
    const admin = await this.#as(samples.ADMIN.username);
    const { apiKey } = await admin.post<{ apiKey: string }>("/api/v1/projects", samples.SHOP);
    await admin.change("PATCH", `/api/v1/projects/${samples.SHOP.slug}`, samples.SHOP_SETTINGS);
    for (const userId of this.#usernames.slice(1, 3))
      await admin.post(`/api/v1/projects/${samples.SHOP.slug}/members`, { userId, role: "editor" });
    return apiKey;
  }

  #rules(wanted: readonly { readonly name: string; readonly projectId: string }[]): Promise<boolean[]> {
    return eachOf(wanted, async (rule) => {
      const projectId = this.#access.projects.find(rule.projectId);
      const found = this.#read.selectFrom("rules").select("id").where("name", "=", rule.name);
      if (await found.where("projectId", "=", projectId ?? "").executeTakeFirst()) return false;
      await (await this.#as(samples.ADMIN.username)).post("/api/v1/rules", rule);
      return true;
    });
  }

  #buckets(): Promise<boolean[]> {
    return eachOf(samples.BUCKETS, async (bucket) => {
      const found = this.#read.selectFrom("transfer_buckets").select("id").where("name", "=", bucket.name);
      if (await found.where("currency", "=", bucket.currency).executeTakeFirst()) return false;
      await (await this.#as(samples.ADMIN.username)).post("/api/v1/transfer-buckets", bucket);
      return true;
    });
  }

  /** Distributes tasks over the users who may have some; a deleted one is not created again. */
  #tasks(count: number): Promise<boolean[]> {
    return eachOf([...Array(count).keys()], async (at) => {
      const task = samples.sampleTask(at);
      const username = this.#usernames[at % Math.min(2, this.#usernames.length)] ?? samples.ADMIN.username;
      const found = this.#read.selectFrom("tasks").select("id").where("title", "=", task.title);
      if (await found.where("userId", "=", this.#idOf(username)).executeTakeFirst()) return false;
      await (await this.#as(username)).post("/api/v1/tasks", task);
      return true;
    });
  }

  async #events(count: number, isDemo: boolean): Promise<SeededKind> {
    const { projects } = this.#access;
    const shop = projects.find(samples.SHOP.slug);
    const stored = await this.#read
      .selectFrom("events")
      .select("dedupeKey")
      .where("projectId", "in", shop === undefined ? [projects.defaultId] : [projects.defaultId, shop])
      .where("dedupeKey", ">=", samples.eventKey(0))
      .where("dedupeKey", "<=", samples.eventKey(count - 1))
      .execute();
    const keys = new Set(stored.map(({ dedupeKey }) => dedupeKey));
    const now = this.#app.parts.base.clock.now();
    const missing = [...Array(count).keys()].filter((at) => !keys.has(samples.eventKey(at)));
    const progress = this.#out.progress("storing events");
    for (let from = 0; from < missing.length; from += BATCH) {
      progress.update(from, missing.length);
      const batch = missing.slice(from, from + BATCH).map((at) => {
        const event = samples.sampleEvent(at, count, now);
        return isDemo && samples.isOfShop(event) ? { ...event, projectId: samples.SHOP.slug } : event;
      });
      await (await this.#as(samples.ADMIN.username)).post("/api/v1/events?results=errors", batch);
    }
    progress.end();
    if (isDemo && missing.length > 0) await this.#openNotice();
    return { kind: "events", made: missing.length, kept: count - missing.length };
  }

  /** `admin` has opened the latest notice; the others are unread. */
  async #openNotice(): Promise<void> {
    const admin = await this.#as(samples.ADMIN.username);
    const { data } = await admin.get<{ data: readonly { id: string }[] }>("/api/v1/notifications", { limit: 1 });
    for (const { id } of data) await admin.post(`/api/v1/notifications/${id}/webview-action`, { action: "open" });
  }

  async #schedule(): Promise<boolean> {
    if (await this.#app.parts.services.schedules.findByName(samples.SCHEDULE.name)) return false;
    await (await this.#as(samples.ADMIN.username)).post("/api/v1/schedules", samples.SCHEDULE);
    return true;
  }

  async #message(): Promise<boolean> {
    const sender = this.#usernames[1] ?? samples.ADMIN.username;
    const found = this.#read.selectFrom("messages").select("id").where("senderId", "=", this.#idOf(sender));
    const recipientId = this.#idOf(samples.ADMIN.username);
    if (await found.where("recipientId", "=", recipientId).limit(1).executeTakeFirst()) return false;
    await (await this.#as(sender)).post("/api/v1/messages", samples.MESSAGE);
    return true;
  }

  /** The sound of a demo rule. */
  async #sound(): Promise<boolean> {
    const { filename } = samples.BELL;
    const found = this.#read.selectFrom("sounds").select("id").where("filename", "=", filename);
    if (await found.where("deletedAt", "is", null).executeTakeFirst()) return false;
    await (await this.#as(samples.ADMIN.username)).upload("/api/v1/sounds", samples.bellSound(), { filename });
    return true;
  }

  /** Quiet hours for a user without preferences. */
  async #preferences(username: string, userId: string): Promise<boolean> {
    const row = await this.#read.selectFrom("users").select("prefs").where("id", "=", userId).executeTakeFirst();
    if (row?.prefs !== "{}") return false;
    await (await this.#as(username)).change("PUT", "/api/v1/users/me/preferences", samples.PREFERENCES);
    return true;
  }

  /** To all users, from `admin`; one of them has acknowledged it. */
  async #notification(userIds: readonly string[], acknowledgedBy: string): Promise<boolean> {
    const found = this.#read.selectFrom("notifications").select("id").where("title", "=", samples.WELCOME.title);
    if (await found.where("kind", "=", "direct").executeTakeFirst()) return false;
    const admin = await this.#as(samples.ADMIN.username);
    const body = { ...samples.WELCOME, recipients: userIds };
    const { id } = await admin.post<{ id: string }>("/api/v1/notifications", body);
    await (await this.#as(acknowledgedBy)).change("PUT", `/api/v1/notifications/${id}/acknowledge`, {});
    return true;
  }

  /** An entry of a channel, for followers who read it from the start. */
  async #publication(): Promise<boolean> {
    const { type } = samples.PUBLICATION;
    if (await this.#read.selectFrom("stream_log").select("seq").where("type", "=", type).executeTakeFirst())
      return false;
    await (await this.#as(samples.ADMIN.username)).post("/api/v1/realtime/publish", samples.PUBLICATION);
    return true;
  }

  async #extras(): Promise<SeededKind[]> {
    const reader = this.#usernames[1] ?? samples.ADMIN.username;
    const allUsers = this.#usernames.map((username) => this.#idOf(username));
    return [
      counted("preferences", [await this.#preferences(reader, this.#idOf(reader))]),
      counted("notifications", [await this.#notification(allUsers, reader)]),
      counted("publications", [await this.#publication()]),
    ];
  }

  /** A client of an account. Its token ends with the server, a few seconds from now. */
  #as(username: string): Promise<ServerClient> {
    const known = this.#clients.get(username);
    if (known) return known;
    const { port } = this.#app;
    const made = this.#access.accessTokens
      .issue(this.#idOf(username))
      .then(({ token }) => new ServerClient({ base: `http://127.0.0.1:${port}`, token }, this.#out));
    this.#clients.set(username, made);
    return made;
  }

  /** @throws ServerRefused for a disabled account */
  #idOf(username: string): string {
    const id = this.#access.users.find(username);
    if (id !== undefined) return id;
    throw new ServerRefused(
      404,
      "USER_NOT_FOUND",
      `The account ${username} is not active; nothing can be created for it`,
      [],
    );
  }

  get #access(): App["parts"]["core"]["access"] {
    return this.#app.parts.core.access;
  }

  get #read(): App["services"]["db"]["read"] {
    return this.#app.services.db.read;
  }
}

/** One after the other, to keep their order. @returns for each whether it was created. */
async function eachOf<T>(wanted: readonly T[], make: (item: T) => Promise<boolean>): Promise<boolean[]> {
  const made: boolean[] = [];
  for (const item of wanted) made.push(await make(item));
  return made;
}

function counted(kind: string, made: readonly boolean[]): SeededKind {
  const count = made.filter((isMade) => isMade).length;
  return { kind, made: count, kept: made.length - count };
}
