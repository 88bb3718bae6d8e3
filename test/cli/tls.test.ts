import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { installCertificate, makeCertificate } from "../helpers/certificate.ts";
import { temporaryDir } from "../helpers/store.ts";
import { eachCase, RunningCli, runCli } from "./run-cli.ts";

const DAY_MS = 86_400_000;
const env = { PRISM_TLS_CERT_FILE: "server.crt", PRISM_TLS_KEY_FILE: "server.key" };

/** A working directory with a certificate and its key. */
function tlsDir(t: TestContext, certificate = makeCertificate()): string {
  const cwd = temporaryDir(t);
  installCertificate(certificate, join(cwd, "server.crt"), join(cwd, "server.key"));
  return cwd;
}

test("files that cannot be used stop the start with 3 and the reason, and leave no files", async (t) => {
  const cases: readonly { name: string; says: RegExp; spoil(cwd: string): void; env?: Record<string, string> }[] = [
    {
      name: "no certificate",
      says: /tls\.certFile .*server\.crt cannot be read \(ENOENT\)/,
      spoil: (cwd) => rmSync(join(cwd, "server.crt")),
    },
    {
      name: "no key",
      says: /tls\.keyFile .*server\.key cannot be read \(ENOENT\)/,
      spoil: (cwd) => rmSync(join(cwd, "server.key")),
    },
    {
      name: "another key",
      says: /server\.key is not that of the certificate in .*server\.crt/,
      spoil: (cwd) => writeFileSync(join(cwd, "server.key"), makeCertificate().key),
    },
    {
      name: "no PEM",
      says: /server\.crt holds no certificate in PEM/,
      spoil: (cwd) => writeFileSync(join(cwd, "server.crt"), "certificate"),
    },
    {
      name: "an encrypted key",
      says: /server\.key holds no unencrypted private key in PEM/,
      spoil: (cwd) => writeFileSync(join(cwd, "server.key"), encryptedKey()),
    },
    {
      name: "one of two settings",
      says: /tls\.certFile and tls\.keyFile belong together/,
      spoil: () => undefined,
      env: { PRISM_TLS_CERT_FILE: "server.crt" },
    },
  ];
  await eachCase(t, "refused", cases, async (c) => {
    const cwd = tlsDir(t);
    c.spoil(cwd);
    const { status, stdout, stderr } = await runCli(["serve", "--port", "0"], { cwd, env: c.env ?? env });
    assert.equal(status, 3, stderr);
    assert.match(stderr, c.says);
    assert.doesNotMatch(stdout + stderr, /BEGIN|unexpected|at .*\.ts:/);
  });
});

function encryptedKey(): string {
  const key = createPrivateKey(makeCertificate().key);
  return key.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "secret" }).toString();
}

test("doctor looks at the certificate as clients will", async (t) => {
  const cases = [
    {
      name: "a good one",
      days: 90,
      env: {},
      found: /^PASS .*DNS:localhost, IP Address:127\.0\.0\.1 expires .* in \d+ days$/,
    },
    {
      name: "one that clients call by its name",
      days: 90,
      env: { PRISM_PUBLIC_URL: "https://localhost:3000" },
      found: /^PASS/,
    },
    { name: "one that ends soon", days: 5, env: {}, found: /^WARN .* in [45] days/ },
    { name: "one that has ended", days: -1, env: {}, found: /^FAIL .*clients refuse it/ },
    {
      name: "another name",
      days: 90,
      env: { PRISM_PUBLIC_URL: "https://prism.example.org" },
      found: /^WARN .*does not name prism\.example\.org/,
    },
    {
      name: "links that begin with http",
      days: 90,
      env: { PRISM_PUBLIC_URL: "http://localhost:3000" },
      found: /^WARN .*starts with http:/,
    },
    { name: "no file", days: null, env: {}, found: /^FAIL tls\.certFile .* cannot be read/ },
  ];
  await eachCase(t, "found", cases, async (c) => {
    const cwd = tlsDir(t, makeCertificate({ validTo: new Date(Date.now() + (c.days ?? 1) * DAY_MS) }));
    if (c.days === null) rmSync(join(cwd, "server.crt"));
    chmodSync(join(cwd, "server.key"), 0o600);
    const { stdout } = await runCli(["doctor", "--json"], { cwd, env: { PORT: "0", ...env, ...c.env } });
    const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; message: string }[] };
    const [found, ...more] = checks.filter(({ name }) => name === "tls");
    assert.match(`${found?.status} ${found?.message}`, c.found);
    assert.deepEqual(more, []);
  });
});

test("a TLS key that every account can read is a FAIL of doctor; one for a group is not", async (t) => {
  const cwd = tlsDir(t);
  const checkKey = async (mode: number): Promise<string> => {
    chmodSync(join(cwd, "server.key"), mode);
    const { stdout } = await runCli(["doctor", "--json"], { cwd, env: { PORT: "0", ...env } });
    const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; message: string }[] };
    return checks.flatMap(({ name, status, message }) => (name === "tls" ? `${status} ${message}` : [])).join("\n");
  };
  assert.match(await checkKey(0o644), /^FAIL .*server\.key has mode 0644: every account/);
  assert.doesNotMatch(await checkKey(0o640), /mode/);
});

test("doctor knows the running server by its port, though it speaks TLS; TLS is switched at a start only", async (t) => {
  const cwd = tlsDir(t);
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd, env });
  const [, port = ""] = await server.until(/Prism is ready: https:\/\/[^:]+:(\d+)/);
  const { stdout } = await runCli(["doctor", "--json"], { cwd, env: { ...env, PORT: port } });
  const { checks } = JSON.parse(stdout) as { checks: { name: string; message: string }[] };
  assert.match(checks.find(({ name }) => name === "port")?.message ?? "", /is held by the running server, version/);
  server.signal("SIGTERM");
  assert.equal(await server.ended(), 0);

  const plain = new RunningCli(t, ["serve", "--port", "0"], { cwd });
  await plain.until(/Prism is ready: http:/);
  writeFileSync(
    join(cwd, "prism.config.json"),
    JSON.stringify({ tls: { certFile: "server.crt", keyFile: "server.key" } }),
  );
  plain.signal("SIGHUP");
  await plain.until(/"needRestart":\["tls\.certFile","tls\.keyFile"\]/);
});
