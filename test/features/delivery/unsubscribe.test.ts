import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { openPage, startBrowser } from "../../helpers/browser.ts";
import { LogLines } from "../../helpers/log-lines.ts";
import { makeUser } from "../../helpers/people.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { DeliveryWorld } from "./support/delivery-world.ts";
import { mailPeer } from "./support/mail-peer.ts";

const ONE_CLICK = "List-Unsubscribe=One-Click";
const FORM = { "Content-Type": "application/x-www-form-urlencoded" };

async function open(t: TestContext, publicUrl = "https://prism.example/base/") {
  const peer = await mailPeer(t);
  const log = new LogLines("debug");
  const world = await DeliveryWorld.open(t, { settings: { ...peer.settings, publicUrl }, log });
  // There is no development token where there is a public address.
  world.prism.adminToken = (await makeUser(world.prism, "root", ["Admin"])).token;
  const ann = await world.person("ann", { minPriority: 0 });
  return { peer, log, world, ann, prism: world.prism };
}

type Opened = Awaited<ReturnType<typeof open>>;

/** Header fields of the mail that a notification makes, with folded lines joined. */
async function headOf({ world, peer, ann }: Opened): Promise<string> {
  await world.until(await world.notify([ann.id], ["email"]), "delivered");
  return (peer.accepted.at(-1) ?? "").split("\r\n\r\n")[0]?.replaceAll(/\r\n\s+/g, " ") ?? "";
}

/** The link of the header, as it is reached past the proxy. */
async function linkOf(opened: Opened): Promise<string> {
  const path = /^List-Unsubscribe: <https:\/\/prism\.example\/base(\/account\/unsubscribe\?token=\S+)>$/im.exec(
    await headOf(opened),
  )?.[1];
  assert.ok(path);
  return opened.prism.url + path;
}

const post = (url: string, body: string | FormData, headers: Record<string, string> = {}) =>
  fetch(url, { method: "POST", body, headers, redirect: "error" });

async function preferencesOf({ prism, ann }: Opened) {
  const { body } = await prism.get<{ channels: Record<string, string[]> }>("/api/v1/users/me/preferences", {
    token: ann.token,
  });
  return body;
}

const recordsOf = ({ prism }: Opened) =>
  rowsOf<{ resourceId: string; metadata: string; userId: string | null }>(
    prism,
    "select resourceId, metadata, userId from audit_log where action = 'user.unsubscribe'",
  );

test("one click in a mail program ends mails of the kind; preferences show it and undo it", async (t) => {
  const opened = await open(t);
  const { world, prism, ann, peer } = opened;
  const head = await headOf(opened);
  assert.match(head, /^List-Unsubscribe-Post: List-Unsubscribe=One-Click$/m);
  const link = await linkOf(opened);
  const answer = await post(link, ONE_CLICK, FORM);
  assert.deepEqual([answer.status, await answer.json()], [200, { kind: "direct", mail: false }]);
  assert.deepEqual((await preferencesOf(opened)).channels, { direct: ["in_app", "push", "webhook", "service"] });
  const sent = peer.accepted.length;
  const skipped = await world.only(await world.notify([ann.id], ["email"]), "skipped");
  assert.deepEqual([skipped.reason, peer.accepted.length], ["channel off", sent]);
  assert.deepEqual(recordsOf(opened), [{ resourceId: ann.id, metadata: '{"kind":"direct"}', userId: null }]);

  const form = new FormData();
  form.set("List-Unsubscribe", "One-Click");
  assert.equal((await post(link, form)).status, 200, "again, as multipart");
  assert.equal(recordsOf(opened).length, 1, "it was off already");
  const { status } = await prism.put("/api/v1/users/me/preferences", { channels: {} }, { token: ann.token });
  assert.equal(status, 200);
  await world.until(await world.notify([ann.id], ["email"]), "delivered");
});

test("a request that is not a click changes nothing: GET, HEAD, other bodies, and links that this server did not sign", async (t) => {
  const opened = await open(t);
  const link = await linkOf(opened);
  const page = await fetch(link);
  assert.deepEqual([page.status, page.headers.get("content-type")], [200, "text/html; charset=utf-8"]);
  assert.equal((await fetch(link, { method: "HEAD" })).status, 200);
  for (const [body, headers, status] of [
    ["", FORM, 400],
    ["List-Unsubscribe=no", FORM, 400],
    ["{}", { "Content-Type": "application/json" }, 415],
    ["not a form", { "Content-Type": "multipart/form-data; boundary=x" }, 400],
    [`${ONE_CLICK}&${"x".repeat(5000)}`, FORM, 413],
  ] as const)
    assert.equal((await post(link, body, headers)).status, status, body.slice(0, 30));
  const bob = await opened.world.person("bob");
  for (const [name, url] of [
    ["another user", link.replace(opened.ann.id, bob.id)],
    ["another kind", link.replace(".direct.", ".alert.")],
    ["a kind that does not exist", link.replace(".direct.", ".nothing.")],
    ["another signature", `${link.slice(0, -2)}xx`],
    ["no signature", link.slice(0, link.lastIndexOf("."))],
  ] as const)
    assert.equal((await post(url, ONE_CLICK, FORM)).status, 401, name);
  assert.equal((await post(link.split("?")[0] ?? "", ONE_CLICK, FORM)).status, 400, "no token");
  assert.deepEqual([(await preferencesOf(opened)).channels, recordsOf(opened)], [{}, []]);
  const signature = link.slice(link.lastIndexOf(".") + 1);
  assert.ok(!JSON.stringify(opened.log.lines).includes(signature), "no line holds the link");
});

test("one click needs https", async (t) => {
  const plain = await open(t, "http://prism.example");
  const head = await headOf(plain);
  assert.match(head, /^List-Unsubscribe: <http:\/\/prism\.example\/account\/unsubscribe\?token=/m);
  assert.doesNotMatch(head, /List-Unsubscribe-Post/);
});

test("the page ends the mails when its button is pressed, and not before", async (t) => {
  const opened = await open(t);
  const browser = await startBrowser(t);
  if (!browser) return;
  const tab = await openPage(browser);
  await tab.goto(await linkOf(opened));
  await tab.getByText("mails about notifications that people send").waitFor();
  assert.deepEqual((await preferencesOf(opened)).channels, {});
  await tab.getByRole("button", { name: "Stop these mails" }).click();
  await tab.getByText("No more such mails are sent to you").waitFor();
  assert.deepEqual((await preferencesOf(opened)).channels, { direct: ["in_app", "push", "webhook", "service"] });
});
