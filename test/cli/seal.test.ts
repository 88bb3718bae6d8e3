import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { SealKeys, type SealPlace } from "../../src/core/crypto/public-seal.ts";
import { SealedBox } from "../../src/core/crypto/sealed-box.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { runCli } from "./run-cli.ts";

const PLACE: SealPlace = { project: "duty", kind: "channels", name: "Room 1", field: "fields.url" };
const WORDS = ["seal", ...Object.entries(PLACE).flatMap(([name, value]) => [`--${name}`, value])];
const SECRET = "https://hooks.example/T0/B0";

test("seal reads the secret from stdin, and the server alone opens it at its place", async (t) => {
  const prism = await startPrism(t);
  const env = { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken };
  const { status, stdout, stderr } = await runCli(WORDS, { cwd: temporaryDir(t), env, input: `${SECRET}\n` });
  assert.deepEqual([status, stderr], [0, ""]);
  const keys = new SealKeys(prism.parts.features.core.box);
  assert.match(stdout, /^v1:[A-Za-z0-9_-]+\n$/);
  assert.equal(keys.open(PLACE, stdout.trim()), SECRET);
  assert.throws(() => keys.open({ ...PLACE, name: "Room 2" }, stdout.trim()), { name: "UnsealError" });
});

test("seal asks no server when it is given the key, as text or as the server answers it", async (t) => {
  const cwd = temporaryDir(t);
  const keys = new SealKeys(new SealedBox([Buffer.alloc(32, 7)]));
  writeFileSync(join(cwd, "key"), `${keys.publicKey}\n`);
  writeFileSync(join(cwd, "key.json"), JSON.stringify({ key: keys.publicKey }));
  writeFileSync(join(cwd, "wrong"), "x25519:short");
  const seal = (file: string, input = SECRET, words = WORDS) =>
    runCli([...words, "--key", file, "--json"], { cwd, env: { PRISM_URL: "http://127.0.0.1:1" }, input });
  for (const file of ["key", "key.json"]) {
    const { status, stdout } = await seal(file);
    assert.equal(status, 0);
    assert.equal(keys.open(PLACE, (JSON.parse(stdout) as { sealed: string }).sealed), SECRET);
  }
  const refused: readonly (readonly [ReturnType<typeof seal>, number, RegExp])[] = [
    [seal("wrong"), 2, /has no public key of a server/],
    [seal("none"), 2, /--key/],
    [seal("key", "\n"), 7, /the secret is empty/],
    [
      seal(
        "key",
        SECRET,
        WORDS.map((word) => (word === "channels" ? "boxes" : word)),
      ),
      2,
      /there is no kind boxes/,
    ],
    [seal("key", SECRET, WORDS.slice(0, -2)), 2, /--field/],
  ];
  for (const [run, code, text] of refused) {
    const { status, stderr, stdout } = await run;
    assert.deepEqual([status, stdout.includes("v1:")], [code, false], stderr);
    assert.match(stderr + stdout, text);
    assert.ok(!(stderr + stdout).includes(SECRET));
  }
});
