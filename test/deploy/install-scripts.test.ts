import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { temporaryDir } from "../helpers/store.ts";

const root = join(import.meta.dirname, "../..");

interface LockedPackage {
  readonly hasInstallScript?: boolean;
  readonly version?: string;
}

test("no script of a package runs at an installation, and only known packages have one", () => {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, LockedPackage>;
  };
  const found = Object.entries(packages).flatMap(([path, { hasInstallScript }]) =>
    hasInstallScript === true ? [path.replace(/^.*node_modules\//, "")] : [],
  );
  assert.deepEqual([...new Set(found)].sort(), ["@scarf/scarf", "bcrypt", "esbuild"]);
  assert.match(readFileSync(join(root, ".npmrc"), "utf8"), /^ignore-scripts=true$/m);
});

/**
 * Runs the script of @scarf/scarf (by swagger-ui-dist) as an installation without `.npmrc` runs it.
 * @returns the number of requests that its server got
 */
async function requestsOfInstallation(t: TestContext, directory: string): Promise<number> {
  let requests = 0;
  const server = createServer((_request, response) => {
    requests++;
    response.end("{}");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const script = spawn(process.execPath, ["report.js"], {
    cwd: join(directory, "node_modules/@scarf/scarf"),
    env: {
      PATH: process.env["PATH"],
      HOME: temporaryDir(t),
      INIT_CWD: directory,
      SCARF_LOCAL_PORT: String(port),
    },
    stdio: "ignore",
  });
  assert.deepEqual(await once(script, "exit"), [0, null]);
  return requests;
}

test("the one install script that reports installations sends nothing with this package.json, and does without it", async (t) => {
  const installed = (file: string): string => join(root, "node_modules", file);
  const own = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<string, unknown>;
  const { scarfSettings, name, version } = own;
  const wanted = JSON.parse(readFileSync(installed("swagger-ui-dist/package.json"), "utf8")) as { version: string };
  const dependencies = { "swagger-ui-dist": wanted.version };
  for (const [settings, expected] of [
    [{ scarfSettings }, 0],
    [{}, 1],
  ] as const) {
    const directory = temporaryDir(t);
    for (const file of ["@scarf/scarf", "swagger-ui-dist/package.json"]) {
      mkdirSync(join(directory, "node_modules", file, ".."), { recursive: true });
      cpSync(installed(file), join(directory, "node_modules", file), { recursive: true });
    }
    writeFileSync(join(directory, "package.json"), JSON.stringify({ name, version, dependencies, ...settings }));
    // The script gives up when npm takes over 3 s, as on a busy machine.
    let requests = await requestsOfInstallation(t, directory);
    for (let n = 0; n < 20 && requests < expected; n++) requests = await requestsOfInstallation(t, directory);
    assert.equal(requests, expected, JSON.stringify(settings));
  }
});
