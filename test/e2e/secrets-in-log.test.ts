import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import WebSocket from "ws";
import { totpCode } from "../../src/features/access/sessions/second-factor.ts";
import { databaseIn, RunningCli } from "../cli/run-cli.ts";
import { MailServer } from "../features/access/sessions/support/mail-server.ts";
import { fromBase32, STEP_MS } from "../features/access/sessions/support/second-factor.ts";
import { eventually } from "../helpers/eventually.ts";
import { openBeside, temporaryDir } from "../helpers/store.ts";
import { TestBrowser } from "../helpers/web-push.ts";

/** Every secret of a run, by what it is. */
class SecretBook {
  readonly #secrets: [string, string][] = [];

  /** @returns the secret, which is also made up here where none is given. */
  note(what: string, secret = `${what.replace(/\W/g, "-")}-${randomBytes(12).toString("base64url")}+/=`): string {
    assert.ok(secret.length >= 12, `${what} is too short to be looked for`);
    this.#secrets.push([what, secret]);
    return secret;
  }

  get size(): number {
    return this.#secrets.length;
  }

  /** Finds the secrets in a text, in any encoding. */
  foundIn(text: string): string[] {
    return this.#secrets.flatMap(([what, secret]) =>
      disguisesOf(secret)
        .filter(([, form]) => text.includes(form))
        .map(([disguise]) => `${what}, ${disguise}`),
    );
  }
}

function disguisesOf(secret: string): [string, string][] {
  const bytes = Buffer.from(secret);
  const [, payload, signature] = /^eyJ[\w-]+\.([\w-]+)\.([\w-]+)$/.exec(secret) ?? [];
  return [
    ["as it is", secret],
    ["URL-encoded", encodeURIComponent(secret)],
    ["all of it percent-encoded", percentEncoded(secret)],
    ["as JSON", JSON.stringify(secret).slice(1, -1)],
    ["in base64", bytes.toString("base64").replace(/=+$/, "").slice(0, -1)],
    ["in base64url", bytes.toString("base64url").slice(0, -1)],
    ["in hex", bytes.toString("hex")],
    ["its first half", secret.slice(0, Math.max(12, secret.length >> 1))],
    ["its second half", secret.slice(-Math.max(12, secret.length >> 1))],
    ...(payload && signature
      ? ([
          ["its payload", payload],
          ["its signature", signature],
        ] as [string, string][])
      : []),
  ];
}

function percentEncoded(text: string): string {
  return [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
}

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly cookie: string | undefined;
}

/** A server, and a user who does everything that takes or returns a secret. */
class FullRun {
  readonly book = new SecretBook();
  readonly #t: TestContext;
  readonly #dir: string;
  readonly #cli: RunningCli;
  readonly #mail: MailServer;
  #url = "";

  constructor(t: TestContext, mail: MailServer, environment: Readonly<Record<string, string>>) {
    this.#t = t;
    this.#mail = mail;
    this.#dir = temporaryDir(t);
    const { book } = this;
    this.#cli = new RunningCli(t, ["serve", "--port", "0"], {
      cwd: this.#dir,
      env: {
        NODE_ENV: "test",
        JWT_SECRET: book.note("JWT_SECRET"),
        JWT_REFRESH_SECRET: book.note("JWT_REFRESH_SECRET"),
        PRISM_AUTH_PREVIOUS_ACCESS_SECRETS: book.note("previous access secret"),
        PRISM_ENCRYPTION_KEY: book.note("encryption key", randomBytes(32).toString("base64")),
        PRISM_PREVIOUS_ENCRYPTION_KEYS: book.note("previous encryption key", randomBytes(32).toString("hex")),
        PRISM_METRICS_TOKEN: book.note("metrics token"),
        DATABASE_URL: `postgresql://prism:${book.note("password in a URL", randomBytes(12).toString("hex"))}@db.example.org/prism`,
        SMTP_HOST: "127.0.0.1",
        SMTP_PORT: String(mail.port),
        SMTP_USER: "prism",
        SMTP_PASS: book.note("SMTP password"),
        SMTP_FROM: "prism@example.org",
        PRISM_AUTH_REGISTRATION: "open",
        PRISM_AUTH_BCRYPT_COST: "4",
        PRISM_RATE_LIMIT_AUTH: "1000",
        PRISM_RATE_LIMIT_AUTH_NAME: "1000",
        ...environment,
      },
    });
  }

  get log(): string {
    return this.#cli.stdout + this.#cli.stderr;
  }

  async run(): Promise<void> {
    const [, url = ""] = await this.#cli.until(/Prism is ready: (\S+)/);
    this.#url = url;
    const admin = await this.#becomeAdmin();
    const cara = await this.#haveAnAccount();
    await this.#forgetThePassword();
    const secrets = await this.#makeKeysAndTokens(admin);
    await this.#useThem([admin, cara, ...secrets]);
    await this.#goLive([admin, ...secrets]);
    await this.#breakThings(admin);
    this.#cli.signal("SIGTERM");
    assert.equal(await this.#cli.ended(), 0);
  }

  /**
   * Only the terminal shows the setup token, and only once: it is looked for in everything else.
   */
  withoutSetupToken(): string {
    return this.log.replace(/Set-up link, shown this once: \S+/, "");
  }

  async #call(method: string, path: string, { body, ...headers }: Record<string, unknown> = {}): Promise<Answer> {
    const init: RequestInit = {
      method,
      headers: { "Content-Type": "application/json", ...(headers as Record<string, string>) },
    };
    if (body !== undefined) init.body = typeof body === "string" ? body : JSON.stringify(body);
    const response = await fetch(this.#url + path, init);
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json");
    return {
      status: response.status,
      body: isJson && text !== "" ? (JSON.parse(text) as Record<string, unknown>) : {},
      cookie: response.headers.getSetCookie()[0]?.split(";")[0],
    };
  }

  #noteLogin({ status, body, cookie }: Answer): { access: string; refresh: string } {
    assert.ok(status === 200 || status === 201, JSON.stringify(body));
    const access = this.book.note("access token", String(body["token"]));
    const refresh = this.book.note("refresh token", String(body["refreshToken"] ?? cookie?.split("=")[1]));
    return { access, refresh };
  }

  async #becomeAdmin(): Promise<string> {
    const [setupToken] = await this.#cli.until(/prs_[\w-]+/);
    this.book.note("setup token", setupToken);
    const password = this.book.note("admin's password");
    const wrong = {
      username: "ada",
      password,
      setupToken: this.book.note("wrong setup token", `prs_${randomBytes(38).toString("base64url")}`),
    };
    assert.equal((await this.#call("POST", "/auth/register", { body: wrong })).status, 403);
    const made = await this.#call("POST", "/auth/register", { body: { username: "ada", password, setupToken } });
    return this.#noteLogin(made).access;
  }

  async #haveAnAccount(): Promise<string> {
    const password = this.book.note("password");
    const email = "cara@example.org";
    this.#noteLogin(await this.#call("POST", "/api/auth/register", { body: { email, password } }));
    const inBody = this.#noteLogin(
      await this.#call("POST", "/auth/login", { body: { email, password, tokenDelivery: "body" } }),
    );
    const inCookie = await this.#call("POST", "/auth/login", { body: { login: email, password } });
    this.#noteLogin(inCookie);
    const next = await this.#call("POST", "/auth/refresh", { body: { refreshToken: inBody.refresh } });
    this.#noteLogin(next);
    const repeated = await this.#call("POST", "/auth/refresh", { body: { refreshToken: inBody.refresh } });
    const { refresh } = this.#noteLogin(repeated);
    this.#noteLogin(await this.#call("POST", "/auth/refresh", { body: { refreshToken: refresh } }));
    const reused = await this.#call("POST", "/auth/refresh", { body: { refreshToken: inBody.refresh } });
    assert.equal((reused.body["error"] as { code: string }).code, "REFRESH_REUSED");
    const rotated = await this.#call("POST", "/auth/refresh", { Cookie: inCookie.cookie });
    const { access } = this.#noteLogin(rotated);
    await this.#call("POST", "/auth/refresh", { body: { refreshToken: this.book.note("made-up refresh token") } });
    for (const login of [email, "nobody@example.org"])
      await this.#call("POST", "/auth/login", { body: { login, password: this.book.note("wrong password") } });
    const typo = this.book.note("password in broken JSON", `typo"${randomBytes(12).toString("hex")}`);
    for (const body of [
      `{"email":"${email}","password":"${typo}`,
      { email, password: { nested: typo } },
      { [typo]: email },
    ])
      assert.equal((await this.#call("POST", "/auth/login", { body })).status, 400);
    const inQuery = this.book.note("password in a query");
    await this.#call("POST", `/auth/login?password=${encodeURIComponent(inQuery)}&email=${email}`, { body: {} });
    await this.#call("GET", `/no/such/route/${encodeURIComponent(inQuery)}`);
    await this.#addSecondFactor(email, password, access);
    const newPassword = this.book.note("new password");
    const change = { currentPassword: password, password: newPassword };
    assert.equal(
      (await this.#call("PUT", "/api/v1/users/me/password", { body: change, Authorization: `Bearer ${access}` }))
        .status,
      204,
    );
    return access;
  }

  /** Enables it, logs in with a code and a recovery code, and removes it. */
  async #addSecondFactor(email: string, password: string, access: string): Promise<void> {
    const { book } = this;
    const as = { Authorization: `Bearer ${access}` };
    const path = "/api/v1/users/me/second-factor";
    const { body: pending } = await this.#call("POST", path, { body: { password }, ...as });
    const secret = book.note("secret of an authenticator app", String(pending["secret"]));
    const code = (steps: number) => totpCode(fromBase32(secret), Math.floor(Date.now() / STEP_MS) + steps);
    const confirmed = await this.#call("POST", `${path}/confirm`, { body: { code: code(-1) }, ...as });
    const recoveryCodes = confirmed.body["recoveryCodes"] as string[];
    for (const each of recoveryCodes) book.note("recovery code", each);
    const login = async (proof: object): Promise<Answer> => {
      const first = await this.#call("POST", "/auth/login", { body: { email, password } });
      const { details } = first.body["error"] as { details: [{ challenge: string }] };
      const challenge = book.note("challenge of a login", details[0].challenge);
      return this.#call("POST", "/api/v1/auth/login/second-factor", { body: { challenge, ...proof } });
    };
    this.#noteLogin(await login({ code: code(0) }));
    this.#noteLogin(await login({ recoveryCode: recoveryCodes[0] }));
    assert.equal((await login({ recoveryCode: book.note("wrong recovery code") })).status, 401);
    const proof = { password, recoveryCode: recoveryCodes[1] };
    assert.equal((await this.#call("DELETE", path, { body: proof, ...as })).status, 204);
  }

  async #forgetThePassword(): Promise<void> {
    const email = "cara@example.org";
    assert.equal((await this.#call("POST", "/api/v1/auth/forgot-password", { body: { email } })).status, 202);
    const token = this.book.note("token of a mail", await this.#mail.tokenTo(email));
    const password = this.book.note("password of a reset");
    const wrong = { token: this.book.note("wrong token of a reset"), password };
    assert.equal((await this.#call("POST", "/api/v1/auth/reset-password", { body: wrong })).status, 410);
    const { status } = await this.#call("POST", "/api/v1/auth/reset-password", { body: { token, password } });
    assert.equal(status, 204);
    const unreachable = { email: "refused@example.org", password: this.book.note("another password") };
    this.#noteLogin(await this.#call("POST", "/auth/register", { body: unreachable }));
    await this.#call("POST", "/api/v1/auth/forgot-password", { body: { email: unreachable.email } });
    await this.#cli.until(/cannot send a mail/);
  }

  /** @returns an API key and a service token. */
  async #makeKeysAndTokens(admin: string): Promise<string[]> {
    const { book } = this;
    const as = { Authorization: `Bearer ${admin}` };
    const project = (await this.#call("POST", "/api/v1/projects", { body: { name: "shop" }, ...as })).body;
    const apiKey = book.note("API key", String(project["apiKey"]));
    const keys = `/api/v1/projects/${project["id"]}/keys`;
    const made = (await this.#call("POST", keys, { body: { name: "k" }, ...as })).body;
    book.note("second API key", String(made["key"]));
    const rotated = await this.#call("POST", `${keys}/${made["id"]}/rotate`, { body: { graceMs: 0 }, ...as });
    book.note("rotated API key", String(rotated.body["key"]));
    const scopes = ["events:read", "events:write"];
    const token = await this.#call("POST", "/api/v1/users/me/tokens", { body: { name: "t", scopes }, ...as });
    const serviceToken = book.note("service token", String(token.body["token"]));
    const invited = await this.#call("POST", "/api/v1/users", {
      body: { email: "ivo@example.org", roles: ["User"] },
      ...as,
    });
    assert.equal(invited.status, 201);
    book.note("token of an invitation", await this.#mail.tokenTo("ivo@example.org"));
    const devices = { fcm: book.note("push token"), apns: book.note("APNs token", randomBytes(40).toString("hex")) };
    assert.equal((await this.#call("PUT", "/api/v1/users/me/push-tokens", { body: devices, ...as })).status, 200);
    const browser = new TestBrowser(undefined, book.note("auth of a browser", randomBytes(16).toString("base64url")));
    const endpoint = `https://1.1.1.1/${book.note("push endpoint", randomBytes(16).toString("hex"))}`;
    const subscription = { endpoint, keys: browser.keys };
    const subscribed = await this.#call("POST", "/api/v1/users/me/push-subscriptions", { body: subscription, ...as });
    assert.equal(subscribed.status, 201);
    const refused = { ...subscription, endpoint: `ftp://1.1.1.1/${book.note("refused push endpoint")}` };
    await this.#call("POST", "/api/v1/users/me/push-subscriptions", { body: refused, ...as });
    await this.#call("POST", "/api/v1/push/acknowledge", { body: { token: book.note("acknowledge token") } });
    const bad = { apns: book.note("refused push token") };
    assert.equal((await this.#call("PUT", "/api/v1/users/me/push-tokens", { body: bad, ...as })).status, 400);
    return [apiKey, serviceToken];
  }

  async #useThem(secrets: readonly string[]): Promise<void> {
    const content = this.book.note("content of an event");
    for (const secret of secrets) {
      const credential = secret.startsWith("prk_") ? { "X-API-Key": secret } : { Authorization: `Bearer ${secret}` };
      const event = { type: "x", payload: { content, password: content } };
      await this.#call("POST", "/api/v1/events", { body: event, ...credential });
      await this.#call("POST", "/api/v1/events", {
        body: event,
        "X-API-Key": secret,
        Authorization: `Bearer ${secret}`,
      });
      await this.#call("GET", `/api/v1/events?token=${encodeURIComponent(secret)}`, credential);
      const cut = this.book.note("cut credential", secret.slice(0, -5));
      await this.#call("GET", "/api/v1/events", { Authorization: `Bearer ${cut}` });
    }
    const basic = Buffer.from(`cara:${this.book.note("password of Basic")}`).toString("base64");
    await this.#call("GET", "/api/v1/users/me", { Authorization: `Basic ${basic}` });
    await this.#call("GET", "/metrics", { Authorization: `Bearer ${this.book.note("wrong metrics token")}` });
  }

  async #goLive(secrets: readonly string[]): Promise<void> {
    const wsUrl = this.#url.replace("http", "ws");
    const as = { Authorization: `Bearer ${secrets[0]}` };
    const ticketed = await this.#call("POST", "/api/v1/realtime/ticket", { body: {}, ...as });
    const ticket = this.book.note("ticket", String(ticketed.body["ticket"]));
    const wrong = this.book.note("wrong token of a socket");
    for (const path of [
      ...secrets.flatMap((secret) => [
        `/ws?token=${encodeURIComponent(secret)}`,
        `/ws?token=${percentEncoded(secret)}`,
      ]),
      `/ws?ticket=${ticket}`,
      `/ws?ticket=${ticket}`,
      `/ws?token=${encodeURIComponent(wrong)}`,
      `/realtime/default?token=${encodeURIComponent(wrong)}`,
      `/realtime/${encodeURIComponent(wrong)}?token=${secrets[0]}`,
    ]) {
      const socket = new WebSocket(wsUrl + path);
      this.#t.after(() => socket.terminate());
      socket.on("error", () => undefined);
      const isOpen = await Promise.race([
        once(socket, "open").then(
          () => true,
          () => false,
        ),
        once(socket, "close").then(
          () => false,
          () => false,
        ),
      ]);
      if (!isOpen) continue;
      for (const token of [secrets[0], wrong]) socket.send(JSON.stringify({ op: "auth", id: "1", token }));
      socket.send(`{"op":"${wrong}`);
      await once(socket, "close");
    }
    const stream = await fetch(`${this.#url}/realtime/default/sse?token=${secrets[0]}`);
    await stream.body?.cancel();
    await this.#call("GET", `/realtime/default/sse?token=${encodeURIComponent(wrong)}`);
  }

  /** What is ours to explain is logged with its cause. */
  async #breakThings(admin: string): Promise<void> {
    const beside = openBeside(this.#t, databaseIn(join(this.#dir, "data")));
    const as = { Authorization: `Bearer ${admin}` };
    for (const table of ["sessions", "push_devices", "service_tokens", "api_keys", "users"])
      beside.exec(`create trigger refuse_${table} before insert on ${table} begin select raise(abort, 'refused'); end`);
    const password = this.book.note("password of a failing request");
    const login = { email: "refused@example.org", password: this.book.note("password of a failing login") };
    const failing = [
      await this.#call("POST", "/auth/register", { body: { email: "zoe@example.org", password } }),
      await this.#call("PUT", "/api/v1/users/me/push-tokens", {
        body: { fcm: this.book.note("push token of a failing request") },
        ...as,
      }),
      await this.#call("POST", "/api/v1/projects", { body: { name: "another" }, ...as }),
      await this.#call("POST", "/api/v1/users/me/tokens", { body: { name: "t", scopes: ["events:read"] }, ...as }),
    ];
    await this.#call("POST", "/auth/login", { body: login });
    assert.deepEqual(
      failing.map(({ status }) => status),
      [500, 500, 500, 500],
    );
    await eventually("the causes are logged", () => this.log.split('"request failed"').length > failing.length);
    const config = {
      metricsToken: this.book.note("token in a wrong file", "wrong-token-1"),
      encryptionKey: this.book.note("key in a wrong file"),
    };
    writeFileSync(join(this.#dir, "prism.config.json"), JSON.stringify({ ...config, prot: 1 }));
    this.#cli.signal("SIGHUP");
    await this.#cli.until(/reloading the configuration failed/);
  }
}

for (const { level, environment } of [
  { level: "info", environment: { LOG_LEVEL: "info" } },
  { level: "debug", environment: { LOG_LEVEL: "debug", DEBUG: "prism:*" } },
])
  test(`12.11 no secret of a full run is in the log, at ${level}`, async (t) => {
    const mail = await MailServer.start(t, {
      onAuth: (_auth, _session, done) => done(null, { user: "prism" }),
      onRcptTo: ({ address }, _session, done) => done(address.startsWith("refused") ? new Error("no such box") : null),
    });
    const run = new FullRun(t, mail, environment);
    await run.run();
    assert.ok(run.book.size > 40, `${run.book.size} secrets were used`);
    const log = run.withoutSetupToken();
    assert.ok(log.split('"msg":"request"').length > 40, "requests are logged");
    assert.deepEqual(run.book.foundIn(log), []);
    // The look for them would find one.
    assert.notDeepEqual(run.book.foundIn(`${log} ${percentEncoded(run.book.note("planted"))}`), []);
  });
