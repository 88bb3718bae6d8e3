import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { parse } from "yaml";
import { loadConfig } from "../../src/config/load.ts";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";
import {
  canIsolate,
  makeRoot,
  pathInside,
  runSandboxed,
  runSandboxedSync,
  type SandboxOptions,
  stop,
} from "./support/sandbox.ts";

const top = join(import.meta.dirname, "../..");
const docker = join(top, "deploy/docker");
const built = join(top, "dist/prism");

interface Service {
  readonly environment: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes: readonly string[];
  readonly secrets?: readonly string[];
  readonly networks: readonly string[];
  readonly [setting: string]: unknown;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly secrets?: Readonly<Record<string, { readonly file: string }>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>;
}

function readCompose(name: string): Compose & { prism: Service } {
  const compose = parse(readFileSync(join(docker, name), "utf8")) as Compose;
  const { prism } = compose.services;
  assert.ok(prism);
  return { ...compose, prism };
}

/** Instructions of the last stage; continued lines are one, comments are none. */
function imageInstructions(): readonly (readonly [name: string, value: string])[] {
  const text = readFileSync(join(docker, "Dockerfile"), "utf8").replaceAll(/\\\n\s*/g, "");
  const lines = text.split("\n").filter((line) => /^[A-Z]+ /.test(line));
  const last = lines.findLastIndex((line) => line.startsWith("FROM "));
  return lines
    .slice(last)
    .map((line) => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)] as const);
}

function instruction(name: string): string {
  return imageInstructions().find(([each]) => each === name)?.[1] ?? "";
}

/** Runs the image: its root, user, environment and volume; `env` is what a compose file adds. */
function containerOf(root: string, command: string, env: Readonly<Record<string, string>>): SandboxOptions {
  const [uid = 0, gid = 0] = instruction("USER").split(":").map(Number);
  const own = Object.fromEntries(
    instruction("ENV")
      .trim()
      .split(/\s+/)
      .map((pair) => pair.split("=", 2)),
  );
  const [, text = ""] = /(\[.*\])$/.exec(command) ?? [];
  const words = JSON.parse(text) as string[];
  return { root, writable: [instruction("VOLUME")], uid, gid, env: { ...own, ...env }, command: words };
}

/** Every path of the root but those of the volume. */
function listing(root: string): string {
  const entries = readdirSync(root).filter((name) => name !== "data" && name !== "dev" && name !== "proc");
  return entries.map((name) => execFileSync("find", [join(root, name), "-ls"], { encoding: "utf8" })).join("");
}

test("S0-08, S2-119: the image is the executable, its libraries and a user; it has no shell", (t) => {
  keepsPromise(t, ["S0-08", "S2-119"]);
  const root = makeImageRoot(t);
  assert.equal(instruction("FROM"), "scratch");
  for (const path of ["bin/sh", "usr/bin", "usr/bin/node"]) assert.equal(existsSync(join(root, path)), false, path);
  assert.match(readFileSync(join(root, "etc/passwd"), "utf8"), /^prism:x:10001:10001:/m);
});

/** What the last step of the Dockerfile's first stage makes. */
function makeImageRoot(t: Parameters<typeof makeRoot>[0]): string {
  const root = makeRoot(t, { isEmpty: true });
  execFileSync(join(docker, "rootfs.sh"), [built, root]);
  return root;
}

test("F4: compose.production.yaml: the container runs read-only, writes /data only, and stops in order as process 1", async (t) => {
  keepsPromise(t, "S4-26");
  const root = makeImageRoot(t);
  const { prism, secrets = {} } = readCompose("compose.production.yaml");
  for (const name of ["jwt_secret", "encryption_key"]) {
    assert.ok(secrets[name], name);
    writeFileSync(join(root, "run/secrets", name), `${randomBytes(32).toString("base64")}\n`);
  }
  const before = listing(root);
  const port = await lastingPort();
  const env = { ...prism.environment, PORT: String(port), HOST: "127.0.0.1" };
  const health = (): number | null => runSandboxedSync(containerOf(root, instruction("HEALTHCHECK"), env)).status;
  assert.equal(health(), 4);

  const command = JSON.stringify([
    ...(JSON.parse(instruction("ENTRYPOINT")) as string[]),
    ...(JSON.parse(instruction("CMD")) as string[]),
  ]);
  const started = runSandboxed(t, containerOf(root, command, env));
  await eventually("the container answers", async () => {
    assert.equal(started.child.exitCode, null, started.output());
    return (await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => null))?.status === 200;
  });
  assert.equal(health(), 0);
  assert.equal((await fetch(`http://127.0.0.1:${port}/dev/token`)).status, 404);
  assert.ok(
    started.output().includes(`"dataDir":"${pathInside(root, "/data")}","pid":${canIsolate ? 1 : started.child.pid},`),
  );
  assert.equal(listing(root), before);
  assert.ok(existsSync(join(root, "data/prism.db")));

  assert.equal(instruction("STOPSIGNAL"), "SIGTERM");
  stop(started);
  await eventually(
    () => `the container ends: ${started.output()}`,
    () => started.child.exitCode !== null || started.child.signalCode !== null,
  );
  assert.equal(started.child.exitCode, 0, started.output());
  assert.equal(health(), 4);
});

test("compose.yaml: development on the seeds' ports, with a token for this machine", async (t) => {
  keepsPromise(t, "S0-52");
  const root = makeImageRoot(t);
  const { prism } = readCompose("compose.yaml");
  const ports = [await lastingPort(), await lastingPort(), await lastingPort()];
  const [port, ...extra] = ports.map(String);
  const { PORT, PRISM_DASHBOARD_PORT, PRISM_EXTRA_PORTS } = prism.environment;
  assert.deepEqual([PORT, PRISM_DASHBOARD_PORT, PRISM_EXTRA_PORTS], ["3000", "3001", "8080"]);
  const [dashboard = "", more = ""] = extra;
  const env = { ...prism.environment, PORT: port ?? "", PRISM_DASHBOARD_PORT: dashboard, PRISM_EXTRA_PORTS: more };
  const started = runSandboxed(t, containerOf(root, '["/usr/local/bin/prism","serve"]', env));
  for (const each of ports) {
    const token = await eventually("a token", async () => {
      assert.equal(started.child.exitCode, null, started.output());
      const reply = await fetch(`http://127.0.0.1:${each}/dev/token`).catch(() => null);
      return reply?.ok ? ((await reply.json()) as { token: string }).token : null;
    });
    assert.ok(token);
  }
});

test("both compose files: no capabilities, no new privileges, read-only, settings that exist", (t) => {
  for (const name of ["compose.yaml", "compose.production.yaml"]) {
    const { prism } = readCompose(name);
    assert.deepEqual([prism["read_only"], prism["cap_drop"]], [true, ["ALL"]], name);
    assert.deepEqual(prism["security_opt"], ["no-new-privileges:true"], name);
    assert.deepEqual(prism.volumes, ["data:/data"], name);
    const given = { ...prism.environment, NODE_ENV: "development" };
    // The files of secrets are in the container.
    const plain = Object.fromEntries(Object.entries(given).filter(([key]) => !key.endsWith("_FILE")));
    const workingDir = temporaryDir(t);
    const { warnings } = loadConfig({ flags: {}, environment: { ...plain, PRISM_CONFIG_DIR: workingDir }, workingDir });
    assert.deepEqual(warnings, [], name);
  }
});

test("development publishes ports on this machine only; in production only the proxy does", () => {
  const development = readCompose("compose.yaml");
  assert.deepEqual(
    development.prism.ports,
    [3000, 3001, 8080].map((port) => `127.0.0.1:${port}:${port}`),
  );
  const production = readCompose("compose.production.yaml");
  assert.equal(production.prism.ports, undefined);
  assert.equal(production.networks["internal"]?.internal, true);
  // A second common network would be another way to Prism, with addresses that are not trusted.
  const shared = production.services["proxy"]?.networks.filter((name) => production.prism.networks.includes(name));
  assert.deepEqual(shared, ["internal"]);
});

test("the Dockerfile copies what exists, and its context has what the build reads", () => {
  const text = readFileSync(join(docker, "Dockerfile"), "utf8");
  for (const [, sources = ""] of text.matchAll(/^COPY (?!--)(.+) \S+$/gm))
    for (const source of sources.split(" ")) assert.ok(existsSync(join(top, source)), source);
  const ignore = readFileSync(join(docker, "Dockerfile.dockerignore"), "utf8").split("\n");
  const kept = ignore.filter((line) => line.startsWith("!")).map((line) => line.slice(1));
  for (const path of kept) assert.ok(existsSync(join(top, path)), path);
  // Inputs of scripts/ready.mjs: a newer one means that the build is stale.
  const inputs = /const inputs = \[\n([\s\S]*?)\n {2}\]/.exec(readFileSync(join(top, "scripts/ready.mjs"), "utf8"));
  for (const [, input = ""] of (inputs?.[1] ?? "").matchAll(/"(.+)"/g))
    assert.ok(kept.includes(input.split("/")[0] ?? ""), input);
  const pages = /const others = \[(.*)\]/.exec(readFileSync(join(top, "build.mjs"), "utf8"))?.[1] ?? "";
  assert.match(pages, /"README\.md"/);
  for (const [, page = ""] of pages.matchAll(/"([^"]+)"/g)) assert.ok(kept.includes(page), page);
});
