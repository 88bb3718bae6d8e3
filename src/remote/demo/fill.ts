import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { ServerRefused } from "../../core/command-error.ts";
import { type Clock, HOUR_MS, systemClock, toRfc3339 } from "../../core/time/clock.ts";
import type { ClientOutput, Query, ServerClient } from "../server-client.ts";
import * as samples from "./samples.ts";

/** 96 bits. */
const PASSWORD_BYTES = 12;
/** Events per request. */
const BATCH = 500;
const POLL_MS = 5;
const LONGEST_WAIT_MS = 10_000;
const USERS = "/api/v1/operator/users";
const TOKENS = "/api/v1/operator/tokens";

export interface SeededAccount {
  readonly username: string;
  readonly email: string;
  readonly role: string;
  /** Shown only once; null for an existing account. */
  readonly password: string | null;
}

/** Number of created and existing items of a kind. */
export interface SeededKind {
  readonly kind: string;
  readonly made: number;
  readonly kept: number;
}

export interface SeededData {
  readonly kinds: readonly SeededKind[];
  /** The first key of the demo project, shown only once; null for an existing project. */
  readonly apiKey: string | null;
}

/** The clock of a server that gets data of the past: it never goes back, and ends in the present. */
export class PastClock implements Clock {
  #behindMs = samples.HISTORY_MS + HOUR_MS;

  now(): number {
    return Date.now() - this.#behindMs;
  }

  elapsed(): number {
    return systemClock.elapsed();
  }

  /** @param at undefined: the present. An earlier time than the current one changes nothing. */
  set(at?: number): void {
    this.#behindMs = at === undefined ? 0 : Math.min(this.#behindMs, Math.max(0, Date.now() - at));
  }
}

export interface NewEvent {
  readonly type: string;
  readonly dedupeKey: string;
}

/**
 * Fills a running server like its users: everything is checked, decided and sent as usual. Existing
 * items, by name, are not changed. The operator finds and creates accounts; the rest is of users,
 * each with a service token that ends with the command.
 */
export class SeedFill {
  readonly operator: ServerClient;
  readonly out: ClientOutput;
  readonly #clients = new Map<string, { readonly id: string; readonly client: ServerClient }>();
  readonly #ids = new Map<string, string>();
  readonly #people = new Set<string>();

  constructor(operator: ServerClient, out: ClientOutput) {
    this.operator = operator;
    this.out = out;
  }

  /** Creates the missing accounts with random passwords; existing ones are not changed. */
  async accounts(wanted: ReturnType<typeof samples.sampleAccounts>): Promise<SeededAccount[]> {
    const progress = this.out.progress("creating accounts");
    const seeded: SeededAccount[] = [];
    for (const { username, email, name, role } of wanted) {
      progress.update(seeded.length, wanted.length);
      let password: string | null = null;
      const known = (await this.findUser(username)) ?? (await this.findUser(email));
      if (known === undefined) {
        password = randomBytes(PASSWORD_BYTES).toString("base64url");
        const body = { username, email, name, roles: [role], status: "active", password };
        await this.operator.post(USERS, body);
      } else {
        const user = await this.operator.get<{ email: string | null }>(`${USERS}/${known}`);
        if (user.email !== email) this.#people.add(username);
      }
      seeded.push({ username, email, role, password });
    }
    progress.end();
    return seeded;
  }

  /** Whether the account is of a person, and only has the name of a sample account. */
  isPerson(username: string): boolean {
    return this.#people.has(username);
  }

  /** Distributes tasks over the first two users. */
  async tasks(count: number, usernames: readonly string[]): Promise<SeededKind> {
    const owners = usernames.slice(0, 2);
    const titles = new Map<string, Set<unknown>>();
    for (const username of owners) {
      const userId = await this.idOf(username);
      const found = this.operator.list<{ title: string }>("/api/v1/tasks", { userId, limit: 1000 });
      titles.set(username, new Set((await collect(found)).map(({ title }) => title)));
    }
    const today = new Date().setUTCHours(0, 0, 0, 0);
    return this.each("tasks", [...Array(count).keys()], async (at) => {
      const task = samples.sampleTask(at, today);
      const username = owners[at % owners.length] ?? samples.ADMIN;
      if (titles.get(username)?.has(task.title)) return false;
      await (await this.as(username)).post("/api/v1/tasks", task);
      return true;
    });
  }

  /** @returns for each whether it was stored: a repeated key is a duplicate. */
  async events(events: readonly NewEvent[]): Promise<boolean[]> {
    const progress = this.out.progress("storing events");
    let accepted = 0;
    for (let from = 0; from < events.length; from += BATCH) {
      progress.update(from, events.length);
      const batch = events.slice(from, from + BATCH);
      const reply = await this.operator.post<{ accepted: number }>("/api/v1/events?results=errors", batch);
      accepted += reply.accepted;
    }
    progress.end();
    return events.map((_, at) => at < accepted);
  }

  /** One after the other, to keep their order. @param make returns whether it was created. */
  async each<T>(kind: string, wanted: readonly T[], make: (item: T) => Promise<boolean>): Promise<SeededKind> {
    const made: boolean[] = [];
    for (const item of wanted) made.push(await make(item));
    return counted(kind, made);
  }

  /** Whether a list has an item. */
  async has(
    path: string,
    query: Query,
    isWanted: (item: Readonly<Record<string, unknown>>) => boolean,
    client = this.operator,
  ): Promise<boolean> {
    for await (const item of client.list<Readonly<Record<string, unknown>>>(path, query))
      if (isWanted(item)) return true;
    return false;
  }

  async findUser(ref: string): Promise<string | undefined> {
    const known = this.#ids.get(ref);
    if (known !== undefined) return known;
    const found = await this.operator
      .get<{ id: string }>(`${USERS}/${encodeURIComponent(ref)}`)
      .catch((error: unknown) => {
        if (error instanceof ServerRefused && error.status === 404) return undefined;
        throw error;
      });
    if (found) this.#ids.set(ref, found.id);
    return found?.id;
  }

  /** @throws ServerRefused */
  async idOf(username: string): Promise<string> {
    const id = await this.findUser(username);
    if (id !== undefined) return id;
    throw new ServerRefused(404, "USER_NOT_FOUND", `There is no account ${username}`, []);
  }

  /** Ids of on-call schedules by name. */
  async schedules(): Promise<ReadonlyMap<string, string>> {
    const all = await collect(this.operator.list<{ id: string; name: string }>("/api/v1/oncall/schedules", {}));
    return new Map(all.map(({ id, name }) => [name, id]));
  }

  /** A client of an account, which must be active. */
  async as(username: string): Promise<ServerClient> {
    const known = this.#clients.get(username);
    if (known) return known.client;
    const expiresAt = toRfc3339(Date.now() + HOUR_MS);
    const body = { user: username, name: "prism seed", expiresAt };
    const { id, token } = await this.operator.post<{ id: string; token: string }>(TOKENS, body);
    const client = this.operator.as(token);
    this.#clients.set(username, { id, client });
    return client;
  }

  /** Revokes the tokens. */
  async end(): Promise<void> {
    for (const { id } of this.#clients.values()) await this.operator.delete(`${TOKENS}/${id}`);
    this.#clients.clear();
  }
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Waits for the server, but not for ever. */
export async function until(isReached: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + LONGEST_WAIT_MS;
  while (performance.now() < deadline && !(await isReached())) await sleep(POLL_MS);
}

export function counted(kind: string, made: readonly boolean[]): SeededKind {
  const count = made.filter((isMade) => isMade).length;
  return { kind, made: count, kept: made.length - count };
}
