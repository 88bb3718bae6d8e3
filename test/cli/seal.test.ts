import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { SealKeys, type SealPlace } from "../../src/core/crypto/public-seal.ts";
import { SealedBox } from "../../src/core/crypto/sealed-box.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { runCli } from "./run-cli.ts";

const PLACE: SealPlace = {
  ...{ project: "duty", kind: "channels", name: "Room 1", field: "fields.token" },
  bound: { preset: "ntfy", "fields.url": "https://ntfy.example" },
};
const WORDS = ["seal", "-f", "duty.yaml", "--kind", "channels", "--name", "Room 1", "--field", "fields.token"];
const SECRET = "tk_secretofduty";
const FILE = `
projects:
  - slug: duty
    channels:
      - { name: Room 1, preset: ntfy, fields: { url: "https://ntfy.example", topic: { env: PRISM_SECRET_T } } }
      - { name: Hook, preset: http, fields: { url: { env: PRISM_SECRET_U } } }
      - { name: Both, preset: mattermost, fields: {} }
    heartbeats: [{ name: Nightly, timeout: 1d }]
  - { slug: ops, channels: [{ name: Both, preset: mattermost, fields: {} }] }
`;

function folder(t: Parameters<typeof temporaryDir>[0]): string {
  const dir = temporaryDir(t);
  writeFileSync(join(dir, "duty.yaml"), FILE);
  return dir;
}

test("seal reads the secret from stdin, and the server alone opens it at its place", async (t) => {
  const prism = await startPrism(t);
  const env = { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken };
  const { status, stdout, stderr } = await runCli(WORDS, { cwd: folder(t), env, input: `${SECRET}\n` });
  assert.deepEqual([status, stderr], [0, ""]);
  const keys = new SealKeys(prism.parts.features.core.box);
  assert.match(stdout, /^v1:[A-Za-z0-9_-]+\n$/);
  assert.equal(keys.open(PLACE, stdout.trim()), SECRET);
  for (const other of [{ name: "Room 2" }, { bound: { ...PLACE.bound, "fields.url": "https://other.example" } }])
    assert.throws(() => keys.open({ ...PLACE, ...other }, stdout.trim()), { name: "UnsealError" });
});

test("seal asks no server when it is given the server's answer, and looks up the object in the files", async (t) => {
  const cwd = folder(t);
  const keys = new SealKeys(new SealedBox([Buffer.alloc(32, 7)]));
  const at = (path: string, secret: boolean) => [{ path, secret }];
  const channels = { ntfy: at("fields.url", false), http: at("fields.url", true), mattermost: at("fields.url", true) };
  writeFileSync(join(cwd, "key"), `${keys.publicKey}\n`);
  writeFileSync(join(cwd, "key.json"), JSON.stringify({ key: keys.publicKey, addresses: { channels } }));
  writeFileSync(join(cwd, "wrong"), "x25519:short");
  const seal = (file: string, input = SECRET, words = WORDS) =>
    runCli([...words, "--key", file, "--json"], { cwd, env: { PRISM_URL: "http://127.0.0.1:1" }, input });
  const of = (kind: string, name: string, field: string, ...more: string[]) => [
    "seal",
    "-f",
    "duty.yaml",
    "--kind",
    kind,
    "--name",
    name,
    "--field",
    field,
    ...more,
  ];
  const sealed = async (run: ReturnType<typeof seal>): Promise<string> => {
    const { status, stdout, stderr } = await run;
    assert.equal(status, 0, stderr);
    return (JSON.parse(stdout) as { sealed: string }).sealed;
  };
  assert.equal(keys.open(PLACE, await sealed(seal("key.json"))), SECRET);
  const ping = of("heartbeats", "Nightly", "ping");
  const place = { project: "duty", kind: "heartbeats", name: "Nightly", field: "ping", bound: {} };
  assert.equal(keys.open(place, await sealed(seal("key", SECRET, ping))), SECRET);
  const hook = { project: "ops", kind: "channels", name: "Both", field: "fields.url", bound: { preset: "mattermost" } };
  const inOps = of("channels", "Both", "fields.url", "--project", "ops");
  assert.equal(keys.open(hook, await sealed(seal("key.json", SECRET, inOps))), SECRET);
  const refused: readonly (readonly [ReturnType<typeof seal>, number, RegExp])[] = [
    [seal("wrong"), 2, /has no public key of a server/],
    [seal("none"), 2, /--key/],
    [seal("key"), 2, /the whole answer of GET/],
    [seal("key.json", "\n"), 7, /the secret is empty/],
    [seal("key.json", SECRET, of("boxes", "Room 1", "fields.token")), 2, /there is no kind boxes/],
    [seal("key.json", SECRET, WORDS.slice(0, -2)), 2, /--field/],
    [seal("key.json", SECRET, of("channels", "Room 2", "fields.token")), 6, /the files have no channels/],
    [seal("key.json", SECRET, of("channels", "Both", "fields.url")), 2, /--project.*duty, ops/],
    [seal("key.json", SECRET, of("channels", "Hook", "fields.token")), 7, /seal fields\.url first/],
  ];
  for (const [run, code, text] of refused) {
    const { status, stderr, stdout } = await run;
    assert.deepEqual([status, stdout.includes("v1:")], [code, false], stderr);
    assert.match(stderr + stdout, text);
    assert.ok(!(stderr + stdout).includes(SECRET));
  }
});
