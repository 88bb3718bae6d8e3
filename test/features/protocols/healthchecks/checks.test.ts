import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { answered, startPrism } from "../../../helpers/prism.ts";
import { rowsWith, valuesOf } from "../../../helpers/values.ts";

type Check = Record<string, unknown> & { readonly uuid: string; readonly ping_url: string };

async function open(t: TestContext) {
  const prism = await startPrism(t, { settings: { "rateLimit.enabled": "false" } });
  const { body: project } = await prism.post<{ id: string }>("/api/v1/projects", { name: "shop" });
  const keyOf = async (scopes: string[]) => {
    const { body } = await prism.post<{ key: string }>(`/api/v1/projects/${project.id}/keys`, { name: "k", scopes });
    return body.key;
  };
  const writer = await keyOf(["events:write"]);
  const reader = await keyOf(["events:read"]);
  const call = async <T = Record<string, unknown>>(method: string, path: string, body?: unknown, key = writer) => {
    const reply = await fetch(prism.url + path, {
      method,
      headers: key === "" ? {} : { "X-Api-Key": key },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await reply.text();
    return {
      status: reply.status,
      text,
      headers: reply.headers,
      body: (text.startsWith("{") ? JSON.parse(text) : {}) as T,
    };
  };
  return { prism, project, writer, reader, call };
}

test("checks are created, found, updated, paused, resumed and deleted as by Healthchecks' management API", async (t) => {
  const { prism, reader, call } = await open(t);
  for (const base of ["/healthchecks/api/v3", "/api/v3"]) {
    const made = await call<Check>("POST", `${base}/checks/`, {
      name: "Backups",
      slug: `backups-${base.length}`,
      tags: "prod www",
      desc: "nightly",
      timeout: 3600,
      grace: 60,
      channels: "*",
      unknown: 1,
    });
    assert.equal(made.status, 201, made.text);
    const { uuid, ping_url } = made.body;
    assert.deepEqual(made.body, {
      name: "Backups",
      slug: `backups-${base.length}`,
      tags: "prod www",
      desc: "nightly",
      grace: 60,
      n_pings: 0,
      status: "new",
      started: false,
      last_ping: null,
      next_ping: null,
      manual_resume: false,
      methods: "",
      subject: "",
      subject_fail: "",
      start_kw: "",
      success_kw: "",
      failure_kw: "",
      filter_subject: false,
      filter_body: false,
      filter_http_body: false,
      filter_default_fail: false,
      badge_url: made.body["badge_url"],
      uuid,
      ping_url,
      update_url: made.body["update_url"],
      pause_url: `${made.body["update_url"]}/pause`,
      resume_url: `${made.body["update_url"]}/resume`,
      channels: made.body["channels"],
      timeout: 3600,
    });
    await fetch(`${prism.url}/ping/${uuid}/start`);
    assert.equal((await call(`GET`, `${base}/checks/${uuid}`)).body["started"], true);
    assert.equal((await call(`GET`, `${base.replace("v3", "v1")}/checks/${uuid}`)).body["status"], "started");
    await fetch(`${prism.url}/ping/${uuid}`, { method: "POST", body: "log" });
    const up = await call("GET", `${base}/checks/${uuid}`);
    assert.deepEqual([up.body["status"], up.body["n_pings"]], ["up", 2]);
    assert.match(String(up.body["last_ping"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/);
    const pings = await call<{ pings: Record<string, unknown>[] }>("GET", `${base}/checks/${uuid}/pings/`);
    assert.deepEqual(rowsWith(pings.body.pings, "type", "n", "method"), [
      ["success", 2, "POST"],
      ["start", 1, "GET"],
    ]);
    assert.equal((await call("GET", `${base}/checks/${uuid}/pings/2/body`)).text, "log");
    assert.equal((await call("GET", `${base}/checks/${uuid}/pings/1/body`)).status, 404);
    const flips = await call<{ flips: { up: number }[] }>("GET", `${base}/checks/${uuid}/flips/?seconds=60`);
    const shown = flips.body.flips.map(({ up: isUp }) => isUp);
    assert.deepEqual(shown, [1]);
    const cron = await call<Check>("POST", `${base}/checks/${uuid}`, { schedule: "0 4 * * *", tz: "Europe/Riga" });
    assert.deepEqual(
      [cron.body["schedule"], cron.body["tz"], cron.body["timeout"]],
      ["0 4 * * *", "Europe/Riga", undefined],
    );
    assert.equal((await call("POST", `${base}/checks/${uuid}/pause`)).body["status"], "paused");
    assert.equal((await call("POST", `${base}/checks/${uuid}/resume`)).body["status"], "new");
    const again = await call("POST", `${base}/checks/${uuid}/resume`);
    assert.deepEqual([again.status, again.body["error"]], [409, "check is not paused"]);
    const listed = await call<{ checks: Check[] }>("GET", `${base}/checks/?tag=prod&tag=www`, undefined, reader);
    assert.equal(listed.body.checks.length, 1);
    const [seen] = listed.body.checks;
    assert.deepEqual([seen?.uuid, seen?.ping_url], [undefined, undefined]);
    assert.match(String(seen?.["unique_key"]), /^[0-9a-f]{40}$/);
    assert.equal((await call("GET", `${base}/checks/${seen?.["unique_key"]}`, undefined, reader)).status, 200);
    assert.equal((await call("GET", `${base}/checks/?tag=none`)).text, '{"checks":[]}');
    const unique = await call<Check>("POST", `${base}/checks/`, { name: "Backups", unique: ["name"], grace: 120 });
    assert.deepEqual([unique.status, unique.body.uuid, unique.body["grace"]], [200, uuid, 120]);
    // A member that the request does not have is equal to none.
    const other = await call<Check>("POST", `${base}/checks/`, { name: "Backups", unique: ["name", "slug"] });
    assert.equal(other.status, 201);
    const stepped = await call<Check>("POST", `${base}/checks/`, { name: "Steps", schedule: "10/20 */2 1,5/6 * 1/2" });
    assert.deepEqual([stepped.status, stepped.body["schedule"]], [201, "10-59/20 */2 1,5-31/6 * 1-6/2"]);
    for (const { body } of [other, stepped]) await call("DELETE", `${base}/checks/${body.uuid}`);
    const badges = await call<{ badges: Record<string, Record<string, string>> }>("GET", `${base}/badges/`);
    assert.deepEqual(Object.keys(badges.body.badges), ["prod", "www", "*"]);
    const badge = new URL(badges.body.badges["prod"]?.["json"] ?? "");
    assert.equal((await fetch(prism.url + badge.pathname)).status, 200);
    assert.equal((await call("DELETE", `${base}/checks/${uuid}`)).body["name"], "Backups");
    assert.equal((await call("GET", `${base}/checks/${uuid}`)).status, 404);
  }
});

test("errors of the management API are texts, and keys may be in the body", async (t) => {
  const { prism, writer, reader, call } = await open(t);
  const path = "/api/v3/checks/";
  for (const [body, key, status, error] of [
    [{}, "", 401, "missing api key"],
    [{}, "wrong", 401, "wrong api key"],
    [{}, reader, 403, "wrong api key"],
    ["{", writer, 400, "could not parse request body"],
    [{ timeout: "x" }, writer, 400, "json validation error: timeout is not a number"],
    [{ timeout: 59 }, writer, 400, "json validation error: timeout is too small"],
    [{ grace: 31_536_001 }, writer, 400, "json validation error: grace is too large"],
    [{ name: null }, writer, 400, "json validation error: name is not a string"],
    [{ slug: "A" }, writer, 400, "json validation error: slug does not match pattern"],
    [{ schedule: "bad" }, writer, 400, "json validation error: schedule is not a valid cron or OnCalendar expression"],
    [{ tz: "Mars/Olympus" }, writer, 400, "json validation error: tz is not a valid timezone"],
    [{ channels: "none" }, writer, 400, "invalid channel identifier: none"],
    [{ unique: ["x"] }, writer, 400, "json validation error: unique has unexpected value"],
  ] as const) {
    const reply = await call("POST", path, body, key);
    assert.deepEqual([reply.status, reply.body["error"]], [status, error], JSON.stringify(body));
  }
  await answered(201, call<Check>("POST", path, { api_key: writer, name: "x" }, ""));
  const other = await prism.post<{ pingUrl: string }>("/api/v1/heartbeats", { name: "other" });
  const uuid = new URL(other.body.pingUrl).pathname.slice("/ping/".length);
  assert.equal((await call("GET", `${path}${uuid}`)).status, 403);
  assert.equal((await call("PUT", path)).status, 405);
  const channels = await call<{ channels: { name: string; kind: string }[] }>("GET", "/api/v1/channels/");
  assert.deepEqual(valuesOf(channels.body.channels, "name"), ["default"]);
  // healthchecks-io-client for Python asks without the last slash.
  const withKey = await call<typeof channels.body>("GET", "/api/v1/channels");
  assert.deepEqual([withKey.status, withKey.body], [200, channels.body]);
  assert.equal((await call("GET", "/api/v1/channels", undefined, "prk_wrong")).body["error"], "wrong api key");
  assert.deepEqual(
    (await prism.get<{ data: unknown[] }>("/api/v1/channels")).body.data,
    [],
    "Prism's own with a token",
  );
  assert.equal((await call("GET", "/healthchecks/api/v3/status/", undefined, "")).text, "OK");
  const preflight = await fetch(prism.url + path, {
    method: "OPTIONS",
    headers: { Origin: "https://x.example", "Access-Control-Request-Method": "POST" },
  });
  assert.deepEqual([preflight.status, preflight.headers.get("access-control-allow-origin")], [204, "*"]);
});

test("Prometheus reads a project's heartbeats by a key in the header or in the URL", async (t) => {
  const { prism, project, reader, call } = await open(t);
  await call("POST", "/api/v3/checks/", { name: 'a "b"', tags: "db" });
  const path = `/projects/${project.id}/metrics`;
  for (const init of [
    { url: `${path}/`, headers: { Authorization: `Bearer ${reader}` } },
    { url: `${path}/${reader}`, headers: {} },
  ]) {
    const reply = await fetch(prism.url + init.url, { headers: init.headers });
    const text = await reply.text();
    assert.equal(reply.status, 200, text);
    assert.match(text, /^hc_check_up\{name="a \\"b\\"", tags="db", unique_key="[0-9a-f]{40}"\} 1$/m);
    assert.match(text, /^hc_tag_up\{tag="db"\} 1$/m);
    assert.match(text, /^hc_checks_total 1$/m);
  }
  assert.equal((await fetch(`${prism.url}${path}/wrong`)).status, 401);
});
