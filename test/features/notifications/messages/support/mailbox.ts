import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type {
  Message as MessageBody,
  MessagePage as PageBody,
  MessageStatus as StatusBody,
} from "../../../../../src/client/api-types.gen.ts";
import { eventually } from "../../../../helpers/eventually.ts";
import type { FakeClock } from "../../../../helpers/fake-clock.ts";
import { makeUser } from "../../../../helpers/people.ts";
import {
  answered,
  type PrismOptions,
  type Reply,
  type RequestOptions,
  startPrism,
  type TestPrism,
} from "../../../../helpers/prism.ts";
import { steadyJitter } from "../../../../helpers/steady-jitter.ts";
import { rowsOf } from "../../../../helpers/tables.ts";
import { type Message, WebSocketClient } from "../../../../live/support/web-socket-client.ts";

export const PATH = "/api/v1/messages";

/** A machine that does much else at once is slow. */
const PATIENCE_MS = 60_000;

export interface Person {
  readonly id: string;
  readonly token: string;
}

export type {
  Message as MessageBody,
  MessagePage as PageBody,
  MessageStatus as StatusBody,
} from "../../../../../src/client/api-types.gen.ts";

export interface Refused {
  readonly error: { readonly code: string; readonly details?: readonly { readonly path: string }[] };
}

/**
 * A server and three people who may write to each other: Uma sends, Vic receives, Wim has nothing
 * to do with it.
 */
export class Mailbox {
  readonly prism: TestPrism;
  readonly uma: Person;
  readonly vic: Person;
  readonly wim: Person;

  private constructor(prism: TestPrism, [uma, vic, wim]: readonly [Person, Person, Person]) {
    this.prism = prism;
    this.uma = uma;
    this.vic = vic;
    this.wim = wim;
  }

  /** Access tokens that outlast what a test lets pass, and back-offs without chance. */
  static async open(t: TestContext, { settings, ...options }: PrismOptions = {}): Promise<Mailbox> {
    steadyJitter(t);
    const prism = await startPrism(t, { ...options, settings: { "auth.accessExpires": "86400000", ...settings } });
    const make = (name: string) => makeUser(prism, name, ["User"]);
    return new Mailbox(prism, [await make("uma"), await make("vic"), await make("wim")]);
  }

  /** The same users, logged in again, at this server or another one on the same data. */
  async again(prism = this.prism): Promise<Mailbox> {
    const { accessTokens } = prism.parts.offers;
    const login = async ({ id }: Person): Promise<Person> => ({ id, token: (await accessTokens.issue(id)).token });
    return new Mailbox(prism, [await login(this.uma), await login(this.vic), await login(this.wim)]);
  }

  /** From Uma to Vic, at once, unless said otherwise. @returns the message's id. */
  async send(body: object = {}, from: Person = this.uma): Promise<string> {
    const reply = await this.post({ recipientId: "vic", content: "hello", delayMs: 0, ...body }, { token: from.token });
    assert.equal(reply.status, 202, reply.text);
    return String(reply.body["id"]);
  }

  post(body: unknown, options: RequestOptions = { token: this.uma.token }): Promise<Reply> {
    return this.prism.post(PATH, body, options);
  }

  get(id: string, { token }: Person = this.uma): Promise<Reply<MessageBody & Refused>> {
    return this.prism.get(`${PATH}/${id}`, { token });
  }

  async status(id: string, { token }: Person = this.uma): Promise<StatusBody> {
    const reply = await answered(200, this.prism.get<StatusBody>(`${PATH}/${id}/status`, { token }));
    return reply.body;
  }

  until(id: string, status: string, as: Person = this.uma): Promise<StatusBody> {
    return this.#until(id, status, as, () => undefined);
  }

  /**
   * @param between what is done before it is asked again. @throws Error that says how the message
   * was last seen.
   */
  async #until(id: string, status: string, as: Person, between: (found: StatusBody) => void): Promise<StatusBody> {
    let last: StatusBody | undefined;
    const ask = async (): Promise<StatusBody | null> => {
      last = await this.status(id, as);
      if (last.status === status) return last;
      between(last);
      return null;
    };
    return eventually(`the message is ${status}`, ask, PATIENCE_MS).catch((error: Error) => {
      throw new Error(`${error.message}; it is ${JSON.stringify(last)}`, { cause: error });
    });
  }

  async list(query: string, { token }: Person = this.uma): Promise<PageBody> {
    const reply = await answered(200, this.prism.get<PageBody>(`${PATH}?${query}`, { token }));
    return reply.body;
  }

  read(id: string, { token }: Person = this.vic): Promise<Reply<MessageBody & Refused>> {
    return this.prism.patch(`${PATH}/${id}/read`, undefined, { token });
  }

  cancel(id: string, { token }: Person = this.uma): Promise<Reply<Refused>> {
    return this.prism.delete(`${PATH}/${id}`, { token });
  }

  /** A socket that follows the person's messages. */
  async follow(t: TestContext, { token }: Person, options: Message = {}): Promise<WebSocketClient> {
    const client = await WebSocketClient.welcomed(t, this.prism.wsUrl, token);
    const answer = await client.ask({ op: "subscribe", id: "sub", stream: "messages:me", ...options });
    assert.equal(answer["op"], "subscribed", JSON.stringify(answer));
    return client;
  }

  /**
   * The entries that the user got so far, from the history of the stream: a socket that was open
   * before is closed when the clock jumps.
   */
  async told(t: TestContext, person: Person, isAll: (told: Told[]) => boolean): Promise<Told[]> {
    const { accessTokens } = this.prism.parts.offers;
    const { token } = await accessTokens.issue(person.id);
    const client = await this.follow(t, { ...person, token }, { from: "earliest" });
    return eventually("all of it", () => (isAll(heard(client)) ? heard(client) : null), PATIENCE_MS);
  }

  /** The account is shut, or open again. */
  async setStatus({ id }: Person, status: "active" | "disabled"): Promise<void> {
    await answered(200, this.prism.patch(`/api/v1/users/${id}`, { status }));
  }

  /** Lets time pass, and the runner look at the clock. */
  pass(clock: FakeClock, ms: number): void {
    clock.advance(ms);
    this.prism.parts.offers.runner.enqueued([]);
  }

  /** Lets time pass until the message's attempts are used up, or it was delivered. */
  passUntil(clock: FakeClock, id: string, status: string): Promise<StatusBody> {
    return this.#until(id, status, this.uma, (found) => {
      if (found.status === "retrying") this.pass(clock, 900_000);
    });
  }

  jobOf(id: string): { id: string; queue: string; state: string; attempts: number } {
    const [job] = rowsOf<{ id: string; queue: string; state: string; attempts: number }>(
      this.prism,
      "select id, queue, state, attempts from jobs where id = (select jobId from messages where id = ?)",
      id,
    );
    assert.ok(job, "the message has a job");
    return job;
  }
}

/** Type of an entry, and the content of a message or the status of a change. */
export type Told = [type: unknown, what: string | null | undefined];

/** What came over a stream of messages: content of messages, status of changes. */
export function heard(client: WebSocketClient): Told[] {
  return client.all({ op: "event" }).map(({ type, data }) => {
    const { content, status } = data as { content?: string | null; status?: string };
    return [type, type === "message" ? content : status];
  });
}

export function statusesOf({ history }: Pick<StatusBody, "history">): string[] {
  return history.map(({ status }) => status);
}

export function codeOf(reply: { readonly status: number; readonly body: object }): [number, string | undefined] {
  return [reply.status, (reply.body as Partial<Refused>).error?.code];
}
