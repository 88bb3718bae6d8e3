import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { gunzipSync } from "node:zlib";
import { VERSION } from "../../src/core/runtime.ts";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { temporaryDir } from "../helpers/store.ts";
import { releaseFile } from "./support/release.ts";
import { makeRoot, runSandboxed, runSandboxedSync, type SandboxOptions, stop } from "./support/sandbox.ts";

interface Descriptor {
  readonly digest: string;
  readonly size: number;
}

interface Settings {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly Volumes: Readonly<Record<string, object>>;
  readonly WorkingDir: string;
  readonly Healthcheck: { readonly Test: readonly string[] };
}

interface Image {
  readonly os: string;
  readonly architecture: string;
  readonly config: Settings;
  readonly rootfs: { readonly diff_ids: readonly string[] };
}

const sha256 = (bytes: Buffer): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

test("the image of a release is unpacked as an engine does it: each digest is right; it serves read-only as user 10001", async (t) => {
  const layout = temporaryDir(t);
  execFileSync("tar", ["-xf", releaseFile(".oci.tar"), "-C", layout]);
  const read = <T>(name: string): T => JSON.parse(readFileSync(join(layout, name), "utf8")) as T;
  const blob = ({ digest, size }: Descriptor): Buffer => {
    const bytes = readFileSync(join(layout, "blobs", digest.replace(":", "/")));
    assert.deepEqual([sha256(bytes), bytes.length], [digest, size]);
    return bytes;
  };
  assert.deepEqual(read("oci-layout"), { imageLayoutVersion: "1.0.0" });
  const [first] = read<{ manifests: readonly Descriptor[] }>("index.json").manifests;
  assert.ok(first);
  const manifest = JSON.parse(String(blob(first))) as { config: Descriptor; layers: readonly [Descriptor] };
  const image = JSON.parse(String(blob(manifest.config))) as Image;
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  assert.deepEqual([image.os, image.architecture], ["linux", architecture]);
  const layer = gunzipSync(blob(manifest.layers[0]));
  assert.deepEqual(image.rootfs.diff_ids, [sha256(layer)]);
  // For docker load.
  const path = ({ digest }: Descriptor): string => `blobs/${digest.replace(":", "/")}`;
  assert.deepEqual(read("manifest.json"), [
    { Config: path(manifest.config), RepoTags: [`prism:${VERSION}`], Layers: manifest.layers.map(path) },
  ]);

  const root = makeRoot(t, { isEmpty: true });
  execFileSync("tar", ["-x", "--numeric-owner", "-C", root], { input: layer });
  assert.deepEqual([statSync(join(root, "data")).uid, statSync(root).mode & 0o777], [10001, 0o755]);
  assert.equal(existsSync(join(root, "bin/sh")), false);

  const { config } = image;
  const port = await lastingPort();
  const [uid = 0, gid = 0] = config.User.split(":").map(Number);
  const env = Object.fromEntries(config.Env.map((pair) => pair.split("=", 2) as [string, string]));
  const [JWT_SECRET, PRISM_ENCRYPTION_KEY] = [48, 32].map((bytes) => randomBytes(bytes).toString("base64"));
  assert.ok(JWT_SECRET && PRISM_ENCRYPTION_KEY);
  const given = { JWT_SECRET, PRISM_ENCRYPTION_KEY, HOST: "127.0.0.1", PORT: String(port) };
  const container = (command: readonly string[]): SandboxOptions => {
    const writable = Object.keys(config.Volumes);
    return { root, writable, uid, gid, env: { ...env, ...given }, command };
  };
  const started = runSandboxed(t, container([...config.Entrypoint, ...config.Cmd]));
  await eventually("the container answers", async () => {
    assert.equal(started.child.exitCode, null, started.output());
    return (await fetch(`http://127.0.0.1:${port}/health`).catch(() => null))?.status === 200;
  });
  const [kind, ...check] = config.Healthcheck.Test;
  assert.equal(kind, "CMD");
  assert.equal(runSandboxedSync(container(check)).status, 0);
  assert.deepEqual(readdirSync(join(root, "tmp")), []);
  stop(started);
  await eventually(
    () => `the container ends: ${started.output()}`,
    () => started.child.exitCode !== null || started.child.signalCode !== null,
  );
  assert.equal(started.child.exitCode, 0, started.output());
});
