import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { jsonLines, RunningCli } from "../cli/run-cli.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { PrismBinary } from "./prism-binary.ts";

const KILLS = 3;

interface Line {
  readonly offset: number;
  readonly payload: { readonly n: number };
}

test("tail shows every acknowledged event once, in order, over kill -9 of the server", async (t) => {
  const prism = new PrismBinary(t, { args: ["--port", String(await lastingPort())] });
  await prism.start();
  const tail = new RunningCli(t, ["tail", "--json", "--from", "earliest"], {
    cwd: prism.dir,
    executable: join(prism.dir, "prism"),
    env: { PRISM_URL: prism.url, PRISM_TOKEN: prism.token },
  });
  const acknowledged: number[] = [];
  let sent = 0;
  const send = async (): Promise<void> => {
    const n = ++sent;
    const { status } = await prism.call("POST", "/events", { type: "tick", payload: { n } });
    if (status === 202) acknowledged.push(n);
  };

  for (let kill = 1; kill <= KILLS; kill++) {
    for (let count = 0; count < 20; count++) await send();
    await tail.until(new RegExp(`"n":${sent}\\b`));
    // Some are answered before the kill and some are not; what is not may have been stored all the
    // same.
    const flight = Array.from({ length: 20 }, () => send().catch(() => undefined));
    await flight[0];
    await prism.kill();
    await Promise.all(flight);
    await prism.start();
  }
  await send();
  await tail.until(new RegExp(`"n":${sent}\\b`));

  const lines = jsonLines<Line>(tail.stdout.slice(0, tail.stdout.lastIndexOf("\n") + 1));
  const offsets = lines.map(({ offset }) => offset);
  assert.deepEqual(
    offsets,
    [...new Set(offsets)].sort((a, b) => a - b),
    "ascending, none twice",
  );
  const heard = lines.map(({ payload }) => payload.n);
  assert.equal(new Set(heard).size, heard.length);
  assert.deepEqual(
    acknowledged.filter((n) => !heard.includes(n)),
    [],
  );
  assert.equal(tail.stderr.match(/reconnected from offset \d+/g)?.length, KILLS, tail.stderr);
});
