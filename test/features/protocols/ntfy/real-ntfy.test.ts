import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { promisify } from "node:util";
import { ChildOutput } from "../../../helpers/child-output.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { lastingPort } from "../../../helpers/free-ports.ts";
import { NtfyPhone } from "../../../helpers/ntfy-phone.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { stepsOf } from "../../../helpers/steps.ts";
import { temporaryDir } from "../../../helpers/store.ts";

/** Debian's ntfy from its release 13 on; elsewhere NTFY_PROGRAM names it. */
const PROGRAM = process.env["NTFY_PROGRAM"] ?? "ntfy";
const run = promisify(execFile);
const PASSWORD = "correct horse battery staple";

/** Without it only the stand-in phone is checked: Debian 12 has no ntfy. */
function hasNtfy(t: TestContext): boolean {
  const isThere = /simple pub-sub/i.test(spawnSync(PROGRAM, ["--help"], { encoding: "utf8" }).stdout ?? "");
  if (!isThere) t.diagnostic("NOT CHECKED against the real program: no ntfy; NTFY_PROGRAM names one");
  return isThere;
}

/** Runs a command of ntfy to its end, while this process serves it. @returns what it printed */
async function ntfy(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const { stdout, stderr } = await run(PROGRAM, args, { env: { ...process.env, ...env }, timeout: 60_000 });
  return stdout + stderr;
}

/** Makes a rule for the administrator, and an event that it fires on. */
async function page(prism: TestPrism, host: string): Promise<void> {
  const { body: me } = await prism.get<{ id: string }>("/api/v1/users/me");
  const rule = { name: `${host} down`, condition: `event.host == '${host}'`, targetUsers: [me.id], priority: 600 };
  const title = "{{ event.host }} is down";
  await answered(201, prism.post("/api/v1/rules", { ...rule, titleTemplate: title, projectId: "default" }));
  await answered(202, prism.post("/api/v1/events", { type: "host.down", level: "error", payload: { host } }));
}

test("a page rings phones that subscribe to ntfy.port: a stand-in for the app, and the client of ntfy", async (t) => {
  const port = await lastingPort();
  const prism = await startPrism(t, { settings: { "ntfy.port": String(port) } });
  const login = { email: "anna@example.org", username: "anna", password: PASSWORD, roles: ["Admin"] };
  await answered(201, prism.post("/api/v1/users", login));
  const { body: token } = await prism.post<{ accessToken: string }>(
    "/api/v1/auth/login",
    { login: "anna", password: PASSWORD },
    { token: null },
  );
  prism.adminToken = token.accessToken;
  await answered(201, prism.post("/api/v1/ntfy/topics", { name: "phone-anna", kind: "inbox" }));
  const url = `http://127.0.0.1:${port}/phone-anna`;
  const subscribers = async () => {
    const { body } = await prism.get<{ data: { subscribers: number }[] }>("/api/v1/ntfy/topics");
    return body.data[0]?.subscribers;
  };
  assert.equal(await subscribers(), 0);
  const phone = await NtfyPhone.subscribe(t, url, { user: "anna@example.org", password: PASSWORD });
  const isReal = hasNtfy(t);
  const client = isReal && subscribed(t, url);
  await eventually("the subscriptions are counted", async () => (await subscribers()) === (isReal ? 2 : 1));
  await page(prism, "db-2");
  const rung = await phone.next("the page");
  assert.deepEqual([rung.title, rung.priority], ["db-2 is down", 5]);
  if (!client) return;
  await client.until("the page at ntfy's client", () => client.all.includes("db-2 is down"));
  const polled = await ntfy(["subscribe", "--poll", "--user", `anna:${PASSWORD}`, url]);
  assert.equal((JSON.parse(polled.trim()) as { title: string }).title, "db-2 is down");
});

function subscribed(t: TestContext, url: string): ChildOutput {
  const client = new ChildOutput(spawn(PROGRAM, ["subscribe", "--user", `anna:${PASSWORD}`, url]));
  t.after(() => client.stop());
  return client;
}

test("Prism's channel publishes to a server of ntfy, and a phone that subscribes there rings", async (t) => {
  if (!hasNtfy(t)) return;
  const server = await startServer(t);
  const prism = await startPrism(t, {
    settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8", publicUrl: "http://localhost:3000" },
  });
  const step = stepsOf(t);
  const fields = { url: server.url, topic: "alarm", token: server.token };
  let id = "";

  await step("the test says that the server has accepted the message", async () => {
    const made = await prism.post<{ id: string }>("/api/v1/channels", { name: "Phone", preset: "ntfy", fields });
    assert.equal(made.status, 201, made.text);
    id = made.body.id;
    const phone = await NtfyPhone.subscribe(t, `${server.url}/alarm`, { user: "phone", password: PASSWORD });
    const tested = await prism.post<{ class: string; status: number }>(`/api/v1/channels/${id}/test`, {});
    assert.deepEqual([tested.body.class, tested.body.status], ["ok", 200], tested.text);
    assert.equal((await phone.next("the test")).message, "Prism can reach this channel.");
    await page(prism, "db-3");
    const rung = await phone.next("the page");
    assert.deepEqual([rung.title, rung.priority], ["db-3 is down", 4]);
  });

  await step("its refusal of a token is the channel's, with a hint", async () => {
    const other = { ...fields, token: "tk_abcdefghijklmnopqrstuvwxyz012" };
    const made = await prism.post<{ id: string }>("/api/v1/channels", { name: "Wrong", preset: "ntfy", fields: other });
    const tested = await prism.post<{ class: string; hint: string }>(`/api/v1/channels/${made.body.id}/test`, {});
    assert.deepEqual(
      [tested.body.class, tested.body.hint],
      ["refused", "the token may not publish to this topic"],
      tested.text,
    );
  });
});

/** A server of ntfy that denies all but its user `phone` at the topic `alarm`. */
async function startServer(t: TestContext): Promise<{ readonly url: string; readonly token: string }> {
  const dir = temporaryDir(t);
  const url = `http://127.0.0.1:${await lastingPort()}`;
  const auth = join(dir, "auth.db");
  const config = join(dir, "server.yml");
  const lines = [`listen-http: ${url.slice("http://".length)}`, `base-url: ${url}`, `auth-file: ${auth}`];
  writeFileSync(config, [...lines, `cache-file: ${join(dir, "cache.db")}`, "auth-default-access: deny-all"].join("\n"));
  const output = new ChildOutput(spawn(PROGRAM, ["serve", "--config", config]));
  t.after(() => output.stop());
  await eventually(
    () => `ntfy listens: ${output.all}`,
    () =>
      fetch(`${url}/v1/health`).then(
        ({ ok }) => ok,
        () => false,
      ),
  );
  const shared = ["--config", config] as const;
  await ntfy(["user", ...shared, "add", "phone"], { NTFY_PASSWORD: PASSWORD });
  await ntfy(["access", ...shared, "phone", "alarm", "rw"]);
  const [token = ""] = /tk_\w+/.exec(await ntfy(["token", ...shared, "add", "phone"])) ?? [];
  return { url, token };
}
