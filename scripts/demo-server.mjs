// A server with the data of `prism seed --demo`, and a browser, for screenshots and for figures of
// the console.
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

const prism = join(import.meta.dirname, "../dist/prism");
const PATIENCE_MS = 60_000;
const BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** @returns the server's address, what its administrator signs in with, and a function that ends it */
export async function startDemo() {
  const port = await freePort();
  const dataDir = mkdtempSync(join(tmpdir(), "prism-demo-"));
  const env = {
    PATH: process.env.PATH,
    NODE_ENV: "production",
    HOST: "127.0.0.1",
    PORT: String(port),
    PRISM_PUBLIC_URL: `http://127.0.0.1:${port}`,
    TZ: "UTC",
    JWT_SECRET: randomBytes(48).toString("base64"),
    PRISM_ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    PRISM_DATA_DIR: dataDir,
    PRISM_WEBHOOKS_ALLOW_PRIVATE_CIDRS: "127.0.0.0/8",
  };
  let server;
  try {
    const seeded = execFileSync(prism, ["seed", "--demo", "--yes", "--json"], { cwd: dataDir, env, encoding: "utf8" });
    const { password } = JSON.parse(seeded).accounts.find(({ username }) => username === "admin");
    server = spawn(prism, ["serve"], { cwd: dataDir, env, stdio: ["ignore", "pipe", "pipe"] });
    await started(server);
    return { url: `http://127.0.0.1:${port}`, login: { login: "admin", password }, stop };
  } catch (error) {
    await stop();
    throw error;
  }

  async function stop() {
    if (server && server.exitCode === null) {
      const ended = new Promise((done) => server.once("exit", done));
      server.kill("SIGTERM");
      await ended;
    }
    rmSync(dataDir, { recursive: true, force: true });
  }
}

export function launchBrowser() {
  return chromium.launch({ executablePath: findBrowser(), args: ["--no-sandbox", "--disable-gpu"] });
}

/** @returns a function that reads a path of the API */
export async function signIn(url, data) {
  const headers = { "Content-Type": "application/json" };
  const login = await fetch(`${url}/api/v1/auth/login`, { method: "POST", headers, body: JSON.stringify(data) });
  const { accessToken } = await login.json();
  return async (path) => {
    const answer = await fetch(`${url}/api/v1${path}`, { headers: { Authorization: `Bearer ${accessToken}` } });
    if (!answer.ok) fail(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
}

/** @returns a browser context with a session */
export async function contextOf(browser, url, data, look) {
  const context = await browser.newContext({ ...look, locale: "en-GB", timezoneId: "Europe/Berlin" });
  context.setDefaultTimeout(PATIENCE_MS);
  const login = await context.request.post(`${url}/api/v1/auth/login`, { data });
  if (!login.ok()) fail(`no login: ${login.status()}`);
  // A page resumes a session that this browser has had.
  await context.addInitScript(() => {
    if (localStorage.getItem("prism.me") === null) localStorage.setItem("prism.me", "{}");
  });
  return context;
}

/** @returns once it is ready */
function started(server) {
  return new Promise((ready, failed) => {
    let output = "";
    const read = (chunk) => {
      output += chunk;
      if (output.includes("Prism is ready")) ready();
    };
    server.stdout.on("data", read);
    server.stderr.on("data", read);
    server.once("exit", () => failed(new Error(`the server ended: ${output}`)));
  });
}

/** The address is part of the configuration, so the port must be known before the start. */
function freePort() {
  return new Promise((found) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => found(port));
    });
  });
}

/** `CHROMIUM_PATH`, or the first browser on the PATH. */
function findBrowser() {
  if (process.env.CHROMIUM_PATH) return process.env.CHROMIUM_PATH;
  const folders = (process.env.PATH ?? "").split(delimiter);
  const files = BROWSERS.flatMap((name) => folders.map((folder) => join(folder, name)));
  return files.find(isExecutable) ?? fail(`install one of ${BROWSERS.join(", ")}, or set CHROMIUM_PATH`);
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function fail(message) {
  throw new Error(message);
}
