import assert from "node:assert/strict";
import { uuidv7 } from "../../../src/core/ids.ts";
import { createOneTimeToken } from "../../../src/features/access/sessions/mail-links.ts";
import { addJob, QUEUE } from "../../features/time/jobs/workers/support.ts";
import type { Reply, TestPrism } from "../../helpers/prism.ts";
import { valuesOf } from "../../helpers/values.ts";

export const PASSWORD = "correct horse battery staple";
const LOGIN = { login: "admin", password: PASSWORD };

/** The server with the data of `prism seed --demo`, and its administrator, who has a password. */
export class Seeded {
  readonly prism: TestPrism;
  /** The bodies that the document offers, by operation. */
  readonly example: (operationId: string) => object;
  token = "";

  constructor(prism: TestPrism, example: Seeded["example"]) {
    this.prism = prism;
    this.example = example;
  }

  login(): Promise<Reply<{ token: string }>> {
    return this.prism.post("/api/v1/auth/login", LOGIN, { token: null });
  }

  /** @returns the id of what was created. */
  async create(path: string, body: object, token = this.token): Promise<string> {
    const { status, body: made, text } = await this.prism.post<{ id?: string; jobId?: string }>(path, body, { token });
    assert.ok(status < 300, text);
    return made.id ?? made.jobId ?? "";
  }

  /** Names of resources are unique. */
  unique(name: string): string {
    this.#names += 1;
    return `${name}-${this.#names}`;
  }
  #names = 0;

  async newUser(): Promise<string> {
    const username = this.unique("new");
    return this.create("/api/v1/users", { username, email: `${username}@example.com` });
  }

  project(): Promise<string> {
    return this.create("/api/v1/projects", { name: this.unique("project") });
  }

  async oneTimeToken(userId: string, kind: Parameters<typeof createOneTimeToken>[2]): Promise<string> {
    const { database, clock } = this.prism.parts.base;
    return database.write((trx) => createOneTimeToken(clock, userId, kind, trx));
  }

  /** The token of the link of an invitation to the administrator's address. */
  async invitation(): Promise<string> {
    const owner = await this.create("/api/v1/users", { username: this.unique("owner"), password: PASSWORD });
    const { token } = await this.prism.parts.offers.accessTokens.issue(owner);
    const project = await this.create("/api/v1/projects", { name: this.unique("project") }, token);
    const { body } = await this.prism.post<{ inviteUrl: string }>(
      `/api/v1/projects/${project}/members`,
      { email: "admin@prism.example", role: "viewer" },
      { token },
    );
    return body.inviteUrl.split("#token=")[1] ?? "";
  }

  /** The service token of the worker of the examples; no login may call its operations. */
  workerToken(): Promise<string> {
    this.#workerToken ??= this.prism
      .post<{ token: string }>("/api/v1/users/me/tokens", { name: "worker", scopes: ["jobs:work"] }, this)
      .then(({ body }) => body.token);
    return this.#workerToken;
  }
  #workerToken: Promise<string> | null = null;

  /** A job that the worker of the examples has claimed. */
  async leasedJob(token: string): Promise<string> {
    const id = await addJob(this.prism);
    const body = { ...this.example("claimJobs"), queues: [QUEUE] };
    const { body: claimed } = await this.prism.post<{ jobs: { id: string }[] }>("/api/v1/workers/claim", body, {
      token,
    });
    assert.deepEqual(valuesOf(claimed.jobs, "id"), [id]);
    return id;
  }

  /** A delivery that has failed for good, without its job. */
  async deadDelivery(): Promise<string> {
    const id = uuidv7();
    const row = { id, notificationId: id, userId: "", channel: "email", state: "dead" } as const;
    await this.prism.services.db.write((trx) =>
      trx
        .insertInto("deliveries")
        .values({ ...row, createdAt: 1, updatedAt: 1 })
        .execute(),
    );
    return id;
  }
}
