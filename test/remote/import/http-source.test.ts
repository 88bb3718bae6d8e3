import assert from "node:assert/strict";
import { createServer } from "node:http";
import { join } from "node:path";
import test from "node:test";
import { HttpSource } from "../../../src/remote/import/http-source.ts";
import { runCli } from "../../cli/run-cli.ts";
import { listening } from "../../helpers/listening.ts";
import { temporaryDir } from "../../helpers/store.ts";

const TOKEN = "Token secret-of-the-old-system";
const MIB = 2 ** 20;

test("an answer of more than 64 MiB ends the import", async (t) => {
  const part = Buffer.alloc(MIB, " ");
  const server = createServer((_request, response) => {
    for (let sent = 0; sent < 80; sent++) response.write(part);
    response.end("{}");
  });
  const base = `http://127.0.0.1:${await listening(t, server)}`;
  const source = new HttpSource({ base, headers: { authorization: TOKEN } });
  await assert.rejects(source.get("users"), { exitCode: 7, message: /\/users is too large/ });
});

test("the token goes to no other server: not by a page, not by a redirect, not by a name in the URL", async (t) => {
  const seen: string[] = [];
  const other = createServer((request, response) => {
    seen.push(request.headers.authorization ?? "");
    response.end("{}");
  });
  const elsewhere = `http://127.0.0.1:${await listening(t, other)}`;
  const server = createServer((_request, response) => response.writeHead(302, { location: elsewhere }).end());
  const base = `http://127.0.0.1:${await listening(t, server)}`;
  const source = new HttpSource({ base, headers: { authorization: TOKEN } });
  for (const path of [`${elsewhere}/users`, base.replace("http://", "http://user@"), "users"])
    await assert.rejects(source.get(path), { exitCode: 7 }, path);
  assert.deepEqual(seen, []);
});

test("a folder that cannot be written is said in one line, exit code 1", async (t) => {
  const cwd = temporaryDir(t);
  const file = join(import.meta.dirname, "http-source.test.ts");
  const source = createServer((_request, response) => response.end('{"next": null, "results": []}'));
  const url = `http://127.0.0.1:${await listening(t, source)}`;
  const run = (...words: readonly string[]) =>
    runCli(["import", "oncall", "--from-url", url, ...words], { cwd, env: { PRISM_IMPORT_TOKEN: "token" } });
  for (const folder of ["/proc/x", join(file, "below"), file])
    for (const words of [
      ["--out", folder],
      ["--out", "out", "--record", folder],
    ]) {
      const { status, stderr } = await run(...words);
      assert.equal(status, 1, stderr);
      assert.match(stderr, /cannot be written: [^\n]*\n$/);
      assert.doesNotMatch(stderr, /^\s+at /m);
    }
});
