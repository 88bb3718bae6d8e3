// needs: openssl, promtool
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { temporaryDir } from "../helpers/store.ts";

const top = join(import.meta.dirname, "../..");
const page = readFileSync(join(top, "docs/deployment.md"), "utf8");

/** The commands of a section's first block. */
function commandsOf(heading: string): string {
  const [, section = ""] = page.split(`\n## ${heading}\n`);
  const [, block] = /```sh\n([\s\S]*?)```/.exec(section) ?? [];
  assert.ok(block, heading);
  return block;
}

test("docs/deployment.md: the commands of a server by hand work as written", async (t) => {
  const dir = temporaryDir(t);
  const port = await lastingPort();
  for (const name of ["bin", "lib"]) mkdirSync(join(dir, name));
  // Without sudo, and with the test's directories instead of the system's.
  const script = commandsOf("By hand")
    .replaceAll("sudo ", "")
    .replaceAll("/usr/local/bin/", `${dir}/bin/`)
    .replaceAll("/var/lib/prism", `${dir}/lib`)
    .replace(/^prism serve$/m, "exec prism serve");
  const env = {
    PATH: `${dir}/bin:/usr/bin:/bin`,
    HOME: dir,
    PORT: String(port),
    HOST: "127.0.0.1",
    PRISM_CONFIG_DIR: dir,
  };
  const child = spawn("/bin/sh", ["-euc", script], { cwd: top, env, stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (part: Buffer) => {
      output += part.toString();
    });
  await eventually("the server answers", async () => {
    assert.equal(child.exitCode, null, output);
    return (await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => null))?.ok;
  });
  // It is ready before its last line is read here.
  await eventually("the log names the environment", () => /"env":"production"/.test(output));
  assert.ok(existsSync(join(dir, "lib/prism.db")));
});

test("docs/deployment.md: the commands of monitoring work as written", (t) => {
  const dir = temporaryDir(t);
  chmodSync(dir, 0o755);
  const script = commandsOf("Monitoring").replaceAll("sudo ", "").replaceAll("/etc/prometheus/", `${dir}/`);
  const { status, stderr } = spawnSync("/bin/sh", ["-euc", script], { cwd: top, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  assert.ok(existsSync(join(dir, "rules.yml")));
});

test("every file of deploy/ is named in docs", () => {
  const proxies = readFileSync(join(top, "docs/proxies.md"), "utf8");
  const text = page + proxies + readFileSync(join(top, "docs/operating.md"), "utf8");
  for (const file of [
    "nginx/prism.conf",
    "caddy/Caddyfile",
    "docker/Dockerfile",
    "docker/compose.yaml",
    "docker/compose.production.yaml",
    "prometheus/prometheus.yml",
    "prometheus/rules.yml",
    "grafana/prism.json",
  ])
    assert.ok(text.includes(`deploy/${file}`) && existsSync(join(top, "deploy", file)), file);
});
