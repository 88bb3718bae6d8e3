// needs: curl
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import test from "node:test";
import { PrismBinary } from "./prism-binary.ts";

interface Heartbeat {
  readonly id: string;
  readonly pingUrl: string;
  readonly status: string;
  readonly pingCount: number;
}

const PATH = "/api/v1/heartbeats";

/** curl as in a crontab. @returns status and body, joined by a space */
function curl(...args: readonly string[]): string {
  const { stdout } = spawnSync("curl", ["-sS", "-m", "10", "-w", " %{http_code}", ...args], { encoding: "utf8" });
  return stdout;
}

test("each form of the ping URL is accepted from curl as clients send it, and no log line has the URL's secret", async (t) => {
  const prism = new PrismBinary(t, { args: ["--log-level", "debug"] });
  await prism.start();
  const { body } = await prism.call<Heartbeat>("POST", PATH, { name: "job" });
  const { pingKey } = (await prism.call<{ pingKey: string }>("POST", `${PATH}/key/rotate`, {})).body;
  const uuid = new URL(body.pingUrl).pathname.slice("/ping/".length);
  const byUuid = `${prism.url}/ping/${uuid}`;
  const bySlug = `${prism.url}/ping/${pingKey}/job`;
  const rid = randomUUID();
  // As runitor sends it: always POST with a Content-Type, also without a body.
  const runitor = ["-X", "POST", "-H", "Content-Type: text/plain", "-A", "runitor/1.3.0"];
  for (const [args, expected] of [
    [["--retry", "5", byUuid], "OK 200"],
    [["-I", "-o", "/dev/null", byUuid], " 200"],
    [["--data-binary", "a=b&c=%zz", `${byUuid}/1`], "OK 200"],
    [[...runitor, `${byUuid}/start?rid=${rid}`], "OK 200"],
    [[...runitor, "--data-binary", "output", `${byUuid}?rid=${rid}`], "OK 200"],
    [[...runitor, "--data-binary", "output", `${byUuid}/fail`], "OK 200"],
    [[...runitor, "--data-binary", "output", `${byUuid}/log`], "OK 200"],
    [[...runitor, "--data-binary", "output", `${byUuid}/7`], "OK 200"],
    [[...runitor, `${bySlug}/start?create=1&rid=${rid}`], "OK 200"],
    [[...runitor, "--data-binary", "x", `${bySlug}?create=1&rid=${rid}`], "OK 200"],
    [[...runitor, `${prism.url}/ping/${pingKey}/other?create=1`], "Created 201"],
    [["-H", "Transfer-Encoding: chunked", "--data-binary", "chunks", byUuid], "OK 200"],
    [["-H", "Expect: 100-continue", "--data-binary", "x".repeat(2000), byUuid], "OK 200"],
    [[`${prism.url}/ping/${randomUUID()}`], "not found 404"],
  ] as const)
    assert.equal(curl(...args), expected, args.join(" "));
  const pings = await prism.call<{ data: { n: number; kind: string; exitStatus: number | null }[] }>(
    "GET",
    `${PATH}/${body.id}/pings?limit=100`,
  );
  assert.deepEqual(
    pings.body.data.map(({ kind, exitStatus }) => (exitStatus === null ? kind : `${kind} ${exitStatus}`)).reverse(),
    [
      "success",
      "success",
      "fail 1",
      "start",
      "success",
      "fail",
      "log",
      "fail 7",
      "start",
      "success",
      "success",
      "success",
    ],
  );
  assert.ok(prism.output.includes("/ping/:target"), "the requests are logged");
  for (const secret of [uuid, pingKey]) assert.ok(!prism.output.includes(secret));
});

test("a ping that was answered survives a kill -9", async (t) => {
  const prism = new PrismBinary(t);
  await prism.start();
  const made = await Promise.all(
    Array.from({ length: 4 }, (_, n) => prism.call<Heartbeat>("POST", PATH, { name: `job ${n}` })),
  );
  const answered = new Map(made.map(({ body }) => [body.id, 0]));
  for (let kill = 0; kill < 3; kill++) {
    let isDown = false;
    const clients = made.map(async ({ body: { id, pingUrl } }, n) => {
      const { pathname } = new URL(pingUrl);
      // Failures and successes in turn also open and resolve the alert.
      for (let i = 0; !isDown; i++) {
        const suffix = n === 0 && i % 2 === 0 ? "/fail" : "";
        const status = await fetch(`${prism.url}${pathname}${suffix}`).then(
          (reply) => reply.status,
          () => 0,
        );
        if (status === 0) return;
        if (status === 200) answered.set(id, (answered.get(id) ?? 0) + 1);
      }
    });
    const goal = (kill + 1) * 40;
    while ([...answered.values()].some((count) => count < goal)) await new Promise((resolve) => setImmediate(resolve));
    await prism.kill();
    isDown = true;
    await Promise.all(clients);
    await prism.start();
    for (const [id, count] of answered) {
      const { body } = await prism.call<Heartbeat>("GET", `${PATH}/${id}`);
      assert.ok(body.pingCount >= count, `${body.pingCount} of ${count} answered pings`);
      const flips = await prism.all<{ from: string; to: string }>(`${PATH}/${id}/flips`);
      const chain = flips.reverse();
      for (const [at, flip] of chain.entries()) assert.equal(flip.from, at === 0 ? "new" : chain[at - 1]?.to);
      answered.set(id, body.pingCount);
    }
  }
});
