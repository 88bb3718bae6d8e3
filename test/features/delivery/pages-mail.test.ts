import assert from "node:assert/strict";
import { setMaxListeners } from "node:events";
import { test } from "node:test";
import { MailClient } from "../../../src/features/channels/mail/client.ts";
import { eventually } from "../../helpers/eventually.ts";
import { MailServer } from "../access/sessions/support/mail-server.ts";
import { IncidentWorld, MINUTE } from "../alerts/incidents/support.ts";

function reply(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode });
}

/** A member with a mail address. */
async function reader(world: IncidentWorld, name: string): Promise<string> {
  const { id } = await world.member(name);
  const email = `${name}@example.com`;
  await world.db.write((trx) => trx.updateTable("users").set({ email }).where("id", "=", id).execute());
  return email;
}

async function notify(world: IncidentWorld, users: readonly string[]): Promise<void> {
  const steps = [{ type: "notify", users }];
  const changed = await world.prism.patch(`/api/v1/policies/${world.projectId}`, { steps });
  assert.equal(changed.status, 200, changed.text);
}

/** Time passes for pages. */
async function pass({ clock, prism }: IncidentWorld, ms: number): Promise<void> {
  clock.advance(ms);
  await prism.parts.offers.pages.check();
  await prism.parts.offers.pages.idle();
}

test("a mail that the server puts off is tried after 1, 2 and each further 5 minutes, and holds no other", async (t) => {
  const tries: string[] = [];
  const server = await MailServer.start(t, {
    onRcptTo({ address }, _session, callback) {
      tries.push(address);
      callback(address.startsWith("ann") ? reply(450, "4.2.0 Greylisted, come back later") : null);
    },
  });
  const world = await IncidentWorld.start(t, server.settings);
  const [ann] = [await reader(world, "ann"), await reader(world, "bob")];
  await notify(world, ["ann", "bob"]);
  await world.fire("A");
  await server.mailTo("bob@example.com");
  const triesOfAnn = (): number => tries.filter((each) => each === ann).length;
  await eventually("the first attempt", () => triesOfAnn() === 1);
  await world.prism.parts.offers.pages.idle();
  const started = world.clock.now();
  const times: number[] = [];
  for (let seconds = 5; seconds <= 15 * 60; seconds += 5) {
    const before = triesOfAnn();
    await pass(world, 5000);
    if (triesOfAnn() > before) times.push(Math.round((world.clock.now() - started) / MINUTE));
  }
  assert.deepEqual(times, [1, 3, 8, 13]);
  const [page] = await world.db.read.selectFrom("pages").selectAll().where("outcome", "<>", "delivered").execute();
  assert.equal(page?.outcome, "failed");
  assert.match(page?.lastError ?? "", /Greylisted/);
  const waitedMs = (page?.failedAt ?? 0) - (page?.firstAttemptAt ?? 0);
  assert.ok(waitedMs >= 45_000 && waitedMs <= 50_001, `it counts as failed after ${waitedMs} ms`);
});

test("a mail server that wants to be asked later before it knows the recipient is probed for all", async (t) => {
  let isBusy = true;
  const server = await MailServer.start(t, {
    onMailFrom(_address, _session, callback) {
      callback(isBusy ? reply(451, "4.3.0 busy") : null);
    },
  });
  const world = await IncidentWorld.start(t, server.settings);
  await reader(world, "ann");
  await notify(world, ["ann"]);
  await world.fire("A");
  await eventually("it is tried", async () => {
    const [page] = await world.db.read.selectFrom("pages").select("outcome").execute();
    return page?.outcome === "trying";
  });
  isBusy = false;
  await eventually("a probe finds it well, some seconds later", async () => {
    await pass(world, 1000);
    return server.mails.length === 1;
  });
});

test("pages have connections of their own: a server that is slow for other mails delays none", async (t) => {
  const held: (() => void)[] = [];
  const server = await MailServer.start(t, {
    onRcptTo({ address }, _session, callback) {
      if (address.startsWith("bulk")) held.push(() => callback(null));
      else callback(null);
    },
  });
  const options = { host: "127.0.0.1", port: server.port, from: "p@example.com", secure: false, allowPlain: true };
  const mailer = new MailClient(() => options);
  t.after(() => mailer.close());
  const mail = { subject: "s", text: "t" };
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  const bulk = Array.from({ length: 50 }, (_, n) => mailer.call({ ...mail, to: `bulk${n}@example.com` }, stop.signal));
  await eventually("the connections of other mails are all taken", () => held.length === 2);
  for (let n = 0; n < 10; n++) await mailer.call({ ...mail, to: `ann${n}@example.com`, isPage: true });
  assert.deepEqual([server.mails.length, held.length], [10, 2]);
  stop.abort(new Error("given up"));
  const ends = await Promise.allSettled(bulk);
  assert.ok(ends.every((end) => end.status === "rejected" && /given up/.test(String(end.reason))));
  await mailer.call({ ...mail, to: "late@example.com" });
  assert.equal(server.mails.at(-1)?.to[0], "late@example.com", "what was given up holds no connection");
});
