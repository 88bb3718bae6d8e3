// needs: nginx
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { makeCertificate } from "../helpers/certificate.ts";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { LogLines } from "../helpers/log-lines.ts";
import { startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";
import { httpsRequest } from "./support/https-client.ts";
import { checkProxy, type ProxyOptions } from "./support/proxy-contract.ts";

const shipped = readFileSync(join(import.meta.dirname, "../../deploy/nginx/prism.conf"), "utf8");

/** Runs the configuration with every file in a directory of its own, until the test ends. */
function runNginx(t: TestContext, http: string): ChildProcess {
  const dir = temporaryDir(t);
  mkdirSync(join(dir, "tmp"));
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (each) => `${each}_temp_path ${dir}/tmp/${each};`,
  );
  // Its workers write large bodies into the directory, which is the test's user's own.
  const user = process.getuid?.() === 0 ? "user root;\n" : "";
  const main = `${user}pid ${dir}/pid;\nerror_log ${dir}/error.log;\nevents {}\n`;
  writeFileSync(join(dir, "nginx.conf"), `${main}http {\naccess_log off;\n${paths.join("\n")}\n${http}\n}\n`);
  const args = ["-p", dir, "-e", join(dir, "error.log"), "-c", join(dir, "nginx.conf"), "-g", "daemon off;"];
  const nginx = spawn("nginx", args, {
    env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin` },
    stdio: ["ignore", "inherit", "inherit"],
  });
  nginx.on("error", () => assert.fail("nginx is not installed: apt-get install nginx-light"));
  t.after(() => nginx.kill("SIGTERM"));
  return nginx;
}

const SUBPATH = / {2}# (location \/prism\/ \{)\n {2}# ( +.*)\n {2}# \}/;

/** The shipped file with the test's ports and paths; of Prism under a path, as its comment has it. */
async function startShipped(t: TestContext, { upstream, cert, key, isSubpath }: ProxyOptions): Promise<number> {
  const [port, plainPort] = [await lastingPort(), await lastingPort()];
  const files = temporaryDir(t);
  writeFileSync(join(files, "cert.pem"), cert);
  writeFileSync(join(files, "key.pem"), key);
  const adapted = shipped
    .replaceAll(/^ {2}listen \[::\].*\n/gm, "")
    .replace("listen 443 ", `listen 127.0.0.1:${port} `)
    .replace("listen 80;", `listen 127.0.0.1:${plainPort};`)
    .replace("server 127.0.0.1:3000;", `server 127.0.0.1:${upstream};`)
    .replace("/etc/letsencrypt/live/prism.example.com/fullchain.pem", join(files, "cert.pem"))
    .replace("/etc/letsencrypt/live/prism.example.com/privkey.pem", join(files, "key.pem"))
    .replaceAll("/var/log/nginx/", `${files}/`);
  const nginx = runNginx(t, isSubpath ? adapted.replace(SUBPATH, "  $1\n$2\n  }") : adapted);
  const health = `https://127.0.0.1:${port}${isSubpath ? "/prism" : ""}/health`;
  await eventually("nginx answers", async () => {
    assert.equal(nginx.exitCode, null, "it ended; its message is above");
    return (await httpsRequest(health, cert).catch(() => null))?.status === 200;
  });
  const plain = await fetch(`http://127.0.0.1:${plainPort}/docs?a=b`, { redirect: "manual" });
  assert.deepEqual([plain.status, plain.headers.get("location")], [308, "https://127.0.0.1/docs?a=b"]);
  return port;
}

test("deploy/nginx/prism.conf passes requests, addresses, WebSocket and event streams, and no more", (t) => {
  keepsPromise(t, "S4-39");
  return checkProxy(t, startShipped);
});

test("deploy/nginx/prism.conf is valid as it is shipped, beside the site that Debian's nginx has", (t) => {
  const dir = temporaryDir(t);
  const { cert, key } = makeCertificate();
  mkdirSync(join(dir, "live"));
  mkdirSync(join(dir, "tmp"));
  writeFileSync(join(dir, "live/fullchain.pem"), cert);
  writeFileSync(join(dir, "live/privkey.pem"), key);
  // Another place for the certificate and the log, nothing else.
  const text = shipped
    .replaceAll("/etc/letsencrypt/live/prism.example.com/", `${dir}/live/`)
    .replaceAll("/var/log/nginx/", `${dir}/`);
  const stock = `ssl_protocols TLSv1.2 TLSv1.3; access_log ${dir}/access.log; gzip on;`;
  const site = "server { listen 80 default_server; listen [::]:80 default_server; root /var/www/html; server_name _; }";
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((each) => `${each}_temp_path ${dir}/tmp;`);
  const http = `http {\n${stock}\n${paths.join("\n")}\n${text}\n${site}\n}`;
  writeFileSync(join(dir, "nginx.conf"), `user root;\npid ${dir}/pid;\nevents {}\n${http}\n`);
  // In a network of its own ports 80 and 443 are free; some build hosts allow none.
  const canIsolate = spawnSync("unshare", ["-rn", "true"]).status === 0;
  const check = ["nginx", "-t", "-e", join(dir, "error.log"), "-c", join(dir, "nginx.conf")];
  const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin` };
  const [program = "", ...args] = [...(canIsolate ? ["unshare", "-rn"] : []), ...check];
  const { status, stderr } = spawnSync(program, args, { env, encoding: "utf8" });
  assert.equal(status, 0, stderr);
});

test("F8: nginx with its default HTTP/1.0 upstream gets 426 and JSON that names no library", async (t) => {
  const prism = await startPrism(t);
  const port = await lastingPort();
  const location = `location / { proxy_pass http://127.0.0.1:${prism.app.port}; }`;
  runNginx(t, `server { listen 127.0.0.1:${port}; ${location} }`);
  const reply = await eventually("nginx answers", () => fetch(`http://127.0.0.1:${port}/health`).catch(() => null));
  assert.equal(reply.status, 426);
  assert.equal(reply.headers.get("content-type"), "application/json");
  const body = await reply.text();
  assert.deepEqual(JSON.parse(body), { error: { code: "UPGRADE_REQUIRED", message: "Use HTTP/1.1" } });
});

test("a forwarded header from a peer that is not trusted is in the log once, counted, and a warning of the status", async (t) => {
  const log = new LogLines();
  const prism = await startPrism(t, { log });
  for (let i = 0; i < 3; i++)
    await prism.get("/api/v1/rules", { token: null, headers: { "X-Forwarded-For": "192.0.2.1" } });
  const text = JSON.stringify(log);
  assert.equal(text.split("trustedProxies").length - 1, 1, text);
  assert.match((await prism.get("/metrics")).text, /^prism_untrusted_forwarded_total 3$/m);
  const { body } = await prism.get<{ warnings: readonly string[] }>("/api/v1/status");
  assert.match(
    body.warnings.join("\n"),
    /3 requests had X-Forwarded-For from a peer that is not trusted.*127\.0\.0\.1/,
  );
});
