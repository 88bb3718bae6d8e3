import assert from "node:assert/strict";
import test from "node:test";
import { OPERATOR, runAs, SYSTEM } from "../../src/core/caller.ts";
import type { PrismError } from "../../src/core/errors.ts";
import { Slots } from "../../src/core/limits/slots.ts";
import { deferred } from "../../src/core/promises.ts";
import { OutsideHosts, SafeFetch } from "../../src/features/channels/webhook/safe-fetch.ts";

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "done",
    (error: PrismError) => error.code,
  );

test("one owner has a part of the slots, and all owners together have them all", async () => {
  const slots = new Slots({ total: 3, perOwner: 2, what: "tests" });
  const end = deferred<void>();
  const run = (owner: string) => codeOf(slots.run(owner, () => end.promise));
  const running = [run("a"), run("a")];
  assert.equal(await run("a"), "RATE_LIMITED");
  running.push(run("b"));
  assert.equal(await run("c"), "OVERLOADED");
  end.resolve();
  assert.deepEqual(await Promise.all(running), ["done", "done", "done"]);
  assert.equal(await run("a"), "done");
  assert.equal(await codeOf(slots.run("a", () => Promise.reject(Object.assign(new Error(), { code: "own" })))), "own");
  assert.deepEqual(await Promise.all(["a", "b", "c"].map(run)), ["done", "done", "done"]);
});

test("look-ups of names that one person enters leave those of others alone", async () => {
  const end = deferred<void>();
  const resolve = (host: string) =>
    host === "slow.example" ? end.promise.then(() => []) : Promise.resolve([{ address: "93.184.216.34", family: 4 }]);
  const hosts = new OutsideHosts({ allowsHttp: false, allowPorts: [], allowPrivateCidrs: [] }, resolve);
  const fetch = new SafeFetch(hosts, { limits: { dnsMs: 60_000 } });
  const check = (key: string, host: string) =>
    runAs({ ...SYSTEM, principal: { ...OPERATOR, key: key as "operator" } }, () =>
      codeOf(fetch.check(`https://${host}/`)),
    );
  const waiting = Array.from({ length: 8 }, () => check("user:eve", "slow.example"));
  assert.equal(await check("user:eve", "quick.example"), "RATE_LIMITED");
  assert.equal(await check("user:uma", "quick.example"), "done");
  end.resolve();
  assert.deepEqual(new Set(await Promise.all(waiting)), new Set(["URL_REFUSED"]));
  assert.equal(await check("user:eve", "quick.example"), "done");
});
