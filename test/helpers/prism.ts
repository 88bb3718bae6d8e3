import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type App, startApp } from "../../src/app/start.ts";
import type { ClusterLead } from "../../src/cluster/lead/lead.ts";
import { loadConfig } from "../../src/config/load.ts";
import { generateSecrets } from "../../src/config/secrets.ts";
import { type Logger, silentLogger } from "../../src/core/log.ts";
import type { Clock } from "../../src/core/time/clock.ts";
import { DataDirLock } from "../../src/store/sqlite/data-dir-lock.ts";
import { migrateFile } from "../../src/store/sqlite/migrate.ts";
import { HttpClient } from "./http-client.ts";
import type { Scope } from "./scope.ts";
import { createMigratedFile } from "./store.ts";

export interface PrismOptions {
  /** Settings by dotted key, as on the command line. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  /** Default: nothing is logged. */
  readonly log?: Logger;
  /** Whether a start notifies administrators of the time without a server. */
  readonly reportsDownTime?: boolean;
  /** The server is the leader of a cluster. */
  readonly cluster?: ClusterLead;
  /** Requests are answered; work begins when it resolves. */
  readonly beforeWork?: () => Promise<void>;
  /** An existing data directory; it is then the caller's to remove. */
  readonly dir?: string;
}

export interface Reply<T = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
  readonly text: string;
}

export interface RequestOptions {
  readonly token?: string | null;
  readonly apiKey?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * A real server in this process, on a real SQLite file in a temporary directory, with the
 * administrator's token in hand.
 */
export class TestPrism {
  readonly dir: string;
  readonly #options: PrismOptions;
  readonly client = new HttpClient();
  app: App;
  adminToken = "";
  #lock: DataDirLock;
  #stopped: App | null = null;

  private constructor(dir: string, options: PrismOptions, app: App, lock: DataDirLock) {
    this.dir = dir;
    this.#options = options;
    this.app = app;
    this.#lock = lock;
  }

  static async start(options: PrismOptions = {}): Promise<TestPrism> {
    const dir = options.dir ?? mkdtempSync(join(tmpdir(), "prism-test-"));
    const prism = new TestPrism(dir, options, ...(await run(dir, options)));
    await prism.#signIn();
    return prism;
  }

  get url(): string {
    return `http://127.0.0.1:${this.app.port}`;
  }

  get wsUrl(): string {
    return `ws://127.0.0.1:${this.app.port}`;
  }

  /** The running parts, for what no client can see or do. */
  get parts(): App["parts"] {
    return this.app.parts;
  }

  /**
   * To be called after the test wrote rights by itself: everything that is kept of them is read
   * again.
   */
  readonly rightsChanged = (): void => this.parts.features.apply({ type: "rights-changed", of: "all" });

  get services(): App["services"] {
    return this.app.services;
  }

  /**
   * What is to be done first when the test ends, while the server is still there: hooks of a test
   * run in the order in which they were set.
   */
  readonly onClose: (() => void)[] = [];

  /** May be called twice: a server that a test stops is stopped again at the test's end. */
  async stop(): Promise<void> {
    const { app } = this;
    if (this.#stopped === app) return;
    this.#stopped = app;
    this.client.close();
    await app.stop();
    this.#lock.release();
  }

  /** Stops and starts again on the same directory. */
  async restart(whileDown: () => void | Promise<void> = () => undefined): Promise<void> {
    await this.stop();
    await whileDown();
    [this.app, this.#lock] = await run(this.dir, this.#options);
    await this.#signIn();
  }

  get<T = Record<string, unknown>>(path: string, options?: RequestOptions): Promise<Reply<T>> {
    return this.request<T>("GET", path, undefined, options);
  }

  post<T = Record<string, unknown>>(path: string, body?: unknown, options?: RequestOptions): Promise<Reply<T>> {
    return this.request<T>("POST", path, body, options);
  }

  put<T = Record<string, unknown>>(path: string, body?: unknown, options?: RequestOptions): Promise<Reply<T>> {
    return this.request<T>("PUT", path, body, options);
  }

  patch<T = Record<string, unknown>>(path: string, body?: unknown, options?: RequestOptions): Promise<Reply<T>> {
    return this.request<T>("PATCH", path, body, options);
  }

  delete<T = Record<string, unknown>>(path: string, options?: RequestOptions): Promise<Reply<T>> {
    return this.request<T>("DELETE", path, undefined, options);
  }

  /**
   * As the administrator, unless `options` says otherwise. A string or bytes are sent as they are,
   * anything else as JSON.
   */
  async request<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    options: RequestOptions = {},
  ): Promise<Reply<T>> {
    const headers: Record<string, string> = {};
    if (options.apiKey) headers["X-API-Key"] = options.apiKey;
    else if (options.token !== null) headers["Authorization"] = `Bearer ${options.token ?? this.adminToken}`;
    const isRaw = typeof body === "string" || body instanceof Uint8Array;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const {
      status,
      headers: replied,
      text,
    } = await this.client.send(this.url + path, {
      method,
      headers: { ...headers, ...options.headers },
      ...(body === undefined ? {} : { body: isRaw ? (body as string) : JSON.stringify(body) }),
    });
    return { status, headers: replied, text, body: parse(text) as T };
  }

  async #signIn(): Promise<void> {
    const { body } = await this.get<{ token: string }>("/dev/token", { token: null });
    this.adminToken = body.token;
  }
}

/** {@link TestPrism.start}, stopped and removed when the test ends. */
export async function startPrism(t: Scope, options: PrismOptions = {}): Promise<TestPrism> {
  const prism = await TestPrism.start(options);
  t.after(async () => {
    for (const close of prism.onClose) close();
    await prism.stop();
    // A stop does not wait for what a test left open, whose threads may still close files.
    if (!options.dir) rmSync(prism.dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  });
  return prism;
}

/** The reply of a request, which must have this status. */
export async function answered<Given extends { readonly status: number; readonly text?: string }>(
  status: number,
  request: Promise<Given>,
): Promise<Given> {
  const reply = await request;
  assert.equal(reply.status, status, reply.text);
  return reply;
}

async function run(dir: string, options: PrismOptions): Promise<[App, DataDirLock]> {
  const { settings, clock, log = silentLogger, reportsDownTime = false } = options;
  // A test that lets hours pass between two servers is not about the notice of it.
  if (!reportsDownTime) rmSync(join(dir, "alive"), { force: true });
  const loaded = loadConfig({
    // Without a storm limit each match of a rule notifies; a stop does not wait long for what a
    // test left open.
    flags: {
      port: "0",
      dataDir: dir,
      minFreeBytes: "0",
      shutdownMs: "300",
      "suppression.enforceDefault": "false",
      // Tests of a token's end set one life for all tokens.
      "auth.devTokenExpires": settings?.["auth.accessExpires"] ?? "15m",
      "auth.bcryptCost": settings?.["env"] === "production" ? "12" : "4",
      ...settings,
    },
    environment: { PRISM_CONFIG_DIR: dir },
    workingDir: dir,
  });
  const { config } = loaded;
  const lock = DataDirLock.tryAcquire(config);
  if (!lock) throw new Error(`${dir} is in use`);
  generateSecrets(config);
  if (existsSync(config.databaseFile)) migrateFile(config.databaseFile);
  else createMigratedFile(config.databaseFile);
  const app = await startApp({
    loaded,
    log,
    ...(clock ? { clock } : {}),
    cluster: options.cluster,
    ...(options.beforeWork ? { beforeWork: options.beforeWork } : {}),
    onFatal: (error) => {
      throw error;
    },
  });
  return [app, lock];
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
