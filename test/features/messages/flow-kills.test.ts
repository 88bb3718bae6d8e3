import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { SpawnedServer } from "../../live/support/spawned-server.ts";
import { WebSocketClient } from "../../live/support/web-socket-client.ts";
import type { MessageBody, PageBody } from "./support/mailbox.ts";

const ENVIRONMENT = {
  PRISM_AUTH_REGISTRATION: "open",
  PRISM_AUTH_BCRYPT_COST: "4",
  PRISM_RATE_LIMIT_ENABLED: "false",
  PRISM_QUEUES_MESSAGES_RETRY_BACKOFF_BASE_MS: "50",
};

const PASSWORD = "correct horse battery";

/** A program that knows nothing but the addresses of S4's README. */
class Client {
  readonly #url: string;
  token = "";
  id = "";

  constructor(url: string) {
    this.#url = url;
  }

  async call<T>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }> {
    const headers: Record<string, string> = this.token === "" ? {} : { Authorization: `Bearer ${this.token}` };
    const init: RequestInit = { method, headers };
    if (body !== undefined) {
      headers["Content-Type"] = "application/json";
      init.body = JSON.stringify(body);
    }
    const response = await fetch(this.#url + path, init);
    return { status: response.status, body: (await response.json()) as T };
  }

  async register(username: string): Promise<this> {
    const { status } = await this.call("POST", "/auth/register", { username, password: PASSWORD });
    assert.equal(status, 201);
    return this.logIn(username);
  }

  async logIn(username: string): Promise<this> {
    this.token = "";
    const login = { username, password: PASSWORD };
    const { status, body } = await this.call<{ token: string; user: { id: string } }>("POST", "/auth/login", login);
    assert.equal(status, 200);
    this.token = body.token;
    this.id = body.user.id;
    return this;
  }

  async follow(t: test.TestContext, from?: number | "earliest"): Promise<WebSocketClient> {
    const socket = await WebSocketClient.welcomed(t, this.#url.replace("http", "ws"), this.token);
    await socket.ask({ op: "subscribe", id: "1", stream: "messages:me", ...(from === undefined ? {} : { from }) });
    return socket;
  }
}

test("8.7 the process is killed again and again while messages are on their way: each is delivered, and once", async (t) => {
  const server = await SpawnedServer.start(t, ENVIRONMENT);
  let [ann, bob] = [
    await new Client(server.target.url).register("ann"),
    await new Client(server.target.url).register("bob"),
  ];
  const accepted: string[] = [];
  const attempted = new Set<string>();
  const sendUntilDown = async (): Promise<void> => {
    for (let n = 0; ; n++) {
      const content = `${attempted.size}`;
      attempted.add(content);
      const body = { recipient_id: bob.id, content, delayMs: (n * 7) % 120 };
      const reply = await ann.call<MessageBody>("POST", "/messages", body).catch(() => undefined);
      if (!reply) return;
      assert.equal(reply.status, 202);
      accepted.push(reply.body.id);
    }
  };
  for (let kills = 0; kills < 5; kills++) {
    const before = accepted.length;
    const down = Promise.all([sendUntilDown(), sendUntilDown(), sendUntilDown()]);
    await eventually("some were accepted", () => accepted.length >= before + 10 + kills * 3, 60_000);
    await server.kill();
    await down;
    await server.run();
    ann = await new Client(server.target.url).logIn("ann");
    bob = await new Client(server.target.url).logIn("bob");
  }
  const socket = await bob.follow(t, "earliest");
  const received = (): string[] =>
    socket.all({ op: "event", type: "message" }).map(({ data }) => (data as MessageBody).id);
  await eventually("every accepted message has come", () => accepted.every((id) => received().includes(id)), 60_000);
  const waiting = async (): Promise<number> => {
    const states = ["scheduled", "queued", "delivering", "retrying"];
    const pages = states.map((status) => ann.call<PageBody>("GET", `/messages?box=sent&status=${status}&page=1`));
    return (await Promise.all(pages)).reduce((sum, { body }) => sum + (body.total ?? 0), 0);
  };
  await eventually("none is stuck", async () => (await waiting()) === 0, 60_000);
  const ids = received();
  assert.equal(new Set(ids).size, ids.length, "none came twice");
  const contents = socket.all({ op: "event", type: "message" }).map(({ data }) => (data as MessageBody).content ?? "");
  assert.ok(contents.every((content) => attempted.has(content)));
  assert.equal((await ann.call<PageBody>("GET", "/messages?box=sent&status=dead&page=1")).body.total, 0);
});
