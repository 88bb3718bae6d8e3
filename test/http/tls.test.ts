import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { request as plainRequest } from "node:http";
import https from "node:https";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import tls from "node:tls";
import WebSocket from "ws";
import { RunningCli } from "../cli/run-cli.ts";
import { installCertificate, makeCertificate, type TestCertificate } from "../helpers/certificate.ts";
import { eventually } from "../helpers/eventually.ts";
import { answered } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Record<string, unknown>;
  readonly text: string;
}

/**
 * A server that speaks TLS, in a process of its own, and clients that trust its certificates and no
 * others.
 */
class TlsServer {
  readonly dir: string;
  readonly cli: RunningCli;
  port = 0;
  readonly #trusted: string[] = [];

  constructor(t: TestContext) {
    this.dir = temporaryDir(t);
    this.install(makeCertificate());
    const env = {
      PRISM_TLS_CERT_FILE: "server.crt",
      PRISM_TLS_KEY_FILE: "server.key",
      PRISM_AUTH_REGISTRATION: "open",
      PRISM_AUTH_BCRYPT_COST: "4",
    };
    this.cli = new RunningCli(t, ["serve", "--port", "0"], { cwd: this.dir, env });
  }

  async ready(): Promise<void> {
    const [, port] = await this.cli.until(/Prism is ready: https:\/\/[^:]+:(\d+)/);
    this.port = Number(port);
  }

  install(certificate: TestCertificate): void {
    installCertificate(certificate, join(this.dir, "server.crt"), join(this.dir, "server.key"));
    this.#trusted.push(certificate.cert);
  }

  get ca(): string[] {
    return this.#trusted;
  }

  async request(
    path: string,
    { agent = new https.Agent({ ca: this.ca }), token, body }: RequestOptions = {},
  ): Promise<Answer> {
    const isLines = typeof body === "string";
    const headers = {
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "Content-Type": isLines ? "application/x-ndjson" : "application/json" }),
    };
    const { port } = this;
    const method = body === undefined ? "GET" : "POST";
    const request = https.request({ host: "localhost", port, path, method, agent, headers, family: 4 });
    request.end(body === undefined || isLines ? body : JSON.stringify(body));
    const [response] = await once(request, "response");
    let text = "";
    for await (const chunk of response) text += String(chunk);
    const isJson = String(response.headers["content-type"]).startsWith("application/json");
    return { status: response.statusCode, headers: response.headers, text, body: isJson ? JSON.parse(text) : {} };
  }

  /**
   * Makes a new handshake. @returns the fingerprint of the server's certificate, and the negotiated
   * protocol.
   */
  async handshake(options: tls.ConnectionOptions = {}): Promise<{ fingerprint: string; protocol: string | null }> {
    const socket = tls.connect({ host: "127.0.0.1", port: this.port, ca: this.ca, ...options });
    try {
      await once(socket, "secureConnect");
      return { fingerprint: socket.getPeerCertificate().fingerprint256, protocol: socket.getProtocol() };
    } finally {
      socket.destroy();
    }
  }

  /** A live connection that follows the default project. */
  async follow(t: TestContext, token: string): Promise<{ socket: WebSocket; heard: string[] }> {
    const socket = new WebSocket(`wss://localhost:${this.port}/realtime/default?token=${token}`, {
      ca: this.ca,
      family: 4,
    });
    t.after(() => socket.terminate());
    const heard: string[] = [];
    socket.on("message", (text: Buffer) => heard.push(text.toString()));
    await once(socket, "open");
    await eventually("it follows the project", () => heard.some((text) => text.includes('"connected"')));
    return { socket, heard };
  }
}

interface RequestOptions {
  readonly agent?: https.Agent;
  readonly token?: string;
  /** JSON, or lines of it. */
  readonly body?: object | string;
}

test("S4-03 S4-36 TLS by configuration, and certificates that are renewed under way", async (t) => {
  keepsPromise(t, ["S4-03", "S4-36"]);
  const server = new TlsServer(t);
  await server.ready();
  const { body } = await server.request("/dev/token");
  const token = String(body["token"]);

  await t.test("answers come over TLS, whose name is checked, with HSTS; refusals carry it, too", async () => {
    const health = await server.request("/health");
    assert.deepEqual([health.status, health.body["status"]], [200, "ok"]);
    assert.equal(health.headers["strict-transport-security"], "max-age=31536000");
    const metrics = await server.request("/metrics");
    const [, expiresAt] = /^prism_certificate_expiry_timestamp_seconds (\d+)$/m.exec(metrics.text) ?? [];
    const { validTo } = new X509Certificate(server.ca[0] ?? "");
    assert.equal(Number(expiresAt) * 1000, Date.parse(validTo));
    const missing = await server.request("/nowhere");
    assert.deepEqual([missing.status, missing.headers["strict-transport-security"]], [404, "max-age=31536000"]);
    await assert.rejects(server.handshake({ ca: [makeCertificate().cert] }), {
      code: /SELF_SIGNED|UNABLE_TO_VERIFY/,
    });
  });

  for (const [name, options, refused] of [
    ["TLS 1.3", { minVersion: "TLSv1.3" }, false],
    ["TLS 1.2 with AEAD", { maxVersion: "TLSv1.2" }, false],
    ["TLS 1.2 with ChaCha20", { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-CHACHA20-POLY1305" }, false],
    ["CBC", { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES256-SHA" }, true],
    ["no forward secrecy", { maxVersion: "TLSv1.2", ciphers: "AES256-GCM-SHA384" }, true],
    ["TLS 1.1", { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "ALL:@SECLEVEL=0" }, true],
  ] as const) {
    await t.test(`${name} is ${refused ? "refused" : "spoken"}`, async () => {
      if (refused) await assert.rejects(server.handshake(options), /alert/i);
      else assert.match((await server.handshake(options)).protocol ?? "", /^TLSv1\.[23]$/);
    });
  }

  await t.test("large bodies come and go whole, bit by bit", async () => {
    const event = JSON.stringify({ type: "tls.bulk", payload: { filler: "x".repeat(1000) } });
    await answered(202, server.request("/api/v1/events", { token, body: `${event}\n`.repeat(3000) }));
    const { text } = await server.request("/api/v1/events/export?type=tls.bulk", { token });
    assert.equal(text.split("\n").length, 3001);
    assert.equal(text.split("x".repeat(1000)).length, 3001);
  });

  await t.test("plain HTTP on that port gets no answer", async () => {
    const request = plainRequest({ host: "127.0.0.1", port: server.port, path: "/health" }).end();
    await assert.rejects(once(request, "response"));
  });

  await t.test("the refresh cookie is Secure and bound to this host", async () => {
    const { status, headers } = await server.request("/auth/register", {
      body: { email: "tess@example.org", password: "a password of hers" },
    });
    assert.equal(status, 201);
    assert.match(String(headers["set-cookie"]), /^__Host-prism_refresh=.*; Path=\/; Secure$/);
  });

  await t.test("after SIGHUP new handshakes get the new certificate; open connections continue", async (t) => {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: [...server.ca] });
    t.after(() => agent.destroy());
    await server.request("/health", { agent });
    const old = await server.follow(t, token);
    const before = await server.handshake();

    server.install(makeCertificate());
    assert.equal((await server.handshake()).fingerprint, before.fingerprint, "nothing changes before the signal");
    server.cli.signal("SIGHUP");
    const isNew = async (): Promise<boolean> => {
      for (let n = 0; n < 10; n++) {
        // At the very moment of the change a handshake may be reset.
        const { fingerprint } = await server.handshake().catch(() => before);
        if (fingerprint === before.fingerprint) return false;
      }
      return true;
    };
    await eventually("all clients get the new certificate", isNew);
    assert.equal(await isNew(), true);

    const created = agent.createConnection;
    agent.createConnection = () => assert.fail("the kept connection is used");
    assert.equal((await server.request("/health", { agent })).status, 200);
    agent.createConnection = created;
    const young = await server.follow(t, token);
    await answered(202, server.request("/api/v1/events", { token, body: { type: "tls.renewed" } }));
    for (const { socket, heard } of [old, young]) {
      await eventually("the event reaches it", () => heard.some((text) => text.includes("tls.renewed")));
      assert.equal(socket.readyState, WebSocket.OPEN);
    }
  });

  await t.test("files that do not fit change nothing, and the log says why", async () => {
    const before = await server.handshake();
    server.install({ cert: makeCertificate().cert, key: makeCertificate().key });
    server.cli.signal("SIGHUP");
    await server.cli.until(/is not that of the certificate.*reloading the configuration failed/);
    assert.equal((await server.handshake()).fingerprint, before.fingerprint);
    assert.doesNotMatch(server.cli.stdout + server.cli.stderr, /PRIVATE KEY/);
  });

  await t.test(
    "a second server on the port is refused, though the port is one that we share with ourselves",
    async (t) => {
      const env = { PRISM_TLS_CERT_FILE: "a.crt", PRISM_TLS_KEY_FILE: "a.key" };
      const dir = temporaryDir(t);
      installCertificate(makeCertificate(), join(dir, "a.crt"), join(dir, "a.key"));
      const second = new RunningCli(t, ["serve", "--port", String(server.port)], { cwd: dir, env });
      assert.equal(await second.ended(), 4);
      assert.match(second.stderr, /the port is taken/);
    },
  );

  await t.test("it stops in order, with connections of both certificates", async () => {
    server.cli.signal("SIGTERM");
    assert.equal(await server.cli.ended(), 0);
  });
});
