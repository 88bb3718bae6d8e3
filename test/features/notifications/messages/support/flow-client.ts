import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { WebSocketClient } from "../../../../live/support/web-socket-client.ts";

/** Of a server to which messages are sent as S4 has it. */
export const ENVIRONMENT = {
  PRISM_AUTH_REGISTRATION: "open",
  PRISM_AUTH_BCRYPT_COST: "4",
  PRISM_RATE_LIMIT_ENABLED: "false",
  PRISM_QUEUES_MESSAGES_RETRY_BACKOFF_BASE_MS: "50",
};

const PASSWORD = "correct horse battery";

/** A program that knows nothing but the addresses of S4's README. */
export class Client {
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

  async follow(t: TestContext, from?: number | "earliest"): Promise<WebSocketClient> {
    const socket = await WebSocketClient.welcomed(t, this.#url.replace("http", "ws"), this.token);
    await socket.ask({ op: "subscribe", id: "1", stream: "messages:me", ...(from === undefined ? {} : { from }) });
    return socket;
  }
}
