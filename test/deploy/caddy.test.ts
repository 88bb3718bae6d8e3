// needs: caddy
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";
import { httpsRequest } from "./support/https-client.ts";
import { checkProxy, type ProxyOptions } from "./support/proxy-contract.ts";

const file = join(import.meta.dirname, "../../deploy/caddy/Caddyfile");
const shipped = readFileSync(file, "utf8");

const SUBPATH = /^# example\.com \{\n(?:# .*\n)+/m;

/** The shipped file with the test's ports and certificate; of Prism under a path, as its comment has it. */
async function startShipped(t: TestContext, { upstream, cert, key, isSubpath }: ProxyOptions): Promise<number> {
  const [port, plainPort] = [await lastingPort(), await lastingPort()];
  const dir = temporaryDir(t);
  writeFileSync(join(dir, "cert.pem"), cert);
  writeFileSync(join(dir, "key.pem"), key);
  const subpath = (SUBPATH.exec(shipped)?.[0] ?? "").replaceAll(/^# /gm, "");
  const site = isSubpath ? subpath.replace("example.com", "prism.example.com") : shipped;
  const names = `https://127.0.0.1:${port}, https://prism.example.com:${port}`;
  const adapted = `${isSubpath ? "{\n}\n" : ""}${site}`
    .replace(/^\{\n/m, `{\n\tadmin off\n\thttp_port ${plainPort}\n\tstorage file_system ${dir}/storage\n`)
    .replace(/^prism\.example\.com \{\n/m, `${names} {\n\ttls ${dir}/cert.pem ${dir}/key.pem\n`)
    .replaceAll("127.0.0.1:3000", `127.0.0.1:${upstream}`);
  writeFileSync(join(dir, "Caddyfile"), adapted);
  const env = { PATH: process.env["PATH"], HOME: dir };
  const caddy = spawn("caddy", ["run", "--config", join(dir, "Caddyfile"), "--adapter", "caddyfile"], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  caddy.on("error", () => assert.fail("caddy is not installed: apt-get install caddy"));
  t.after(() => caddy.kill("SIGTERM"));
  let log = "";
  for (const stream of [caddy.stdout, caddy.stderr])
    stream.on("data", (part: Buffer) => {
      log += part.toString();
    });
  const health = `https://127.0.0.1:${port}${isSubpath ? "/prism" : ""}/health`;
  await eventually("Caddy answers", async () => {
    assert.equal(caddy.exitCode, null, log);
    return (await httpsRequest(health, cert).catch(() => null))?.status === 200;
  });
  return port;
}

test("deploy/caddy/Caddyfile passes requests, addresses, WebSocket and event streams, and no more", (t) => {
  keepsPromise(t, "S4-39");
  return checkProxy(t, startShipped);
});

test("deploy/caddy/Caddyfile is valid as it is shipped", (t) => {
  const env = { PATH: process.env["PATH"], HOME: temporaryDir(t) };
  const args = ["adapt", "--config", file, "--adapter", "caddyfile"];
  const { status, stderr } = spawnSync("caddy", args, { env, encoding: "utf8" });
  assert.equal(status, 0, stderr);
});
