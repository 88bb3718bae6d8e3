import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import test, { type TestContext } from "node:test";
import { LogLines } from "../../../helpers/log-lines.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { exchangeRaw, type RawReply, requestText } from "../../../http/support/raw-connection.ts";

const PATH = "/dev/token";

/** Asks with exactly these header lines; without a `Host` among them, as `localhost`. */
async function ask(t: TestContext, prism: TestPrism, lines: readonly string[], path = PATH): Promise<RawReply> {
  const text = requestText(
    "GET",
    path,
    lines.filter((line) => !line.startsWith("Host: ")),
  );
  const host = lines.find((line) => line.startsWith("Host: ")) ?? "Host: localhost";
  return exchangeRaw(t, prism.app.port, text.replace("Host: localhost", host));
}

function tokenOf(reply: RawReply): string | undefined {
  return (JSON.parse(reply.body) as { token?: string }).token;
}

test("S0-24: in development /dev/token gives a process on this machine a token of the administrator dev", async (t) => {
  keepsPromise(t, "S0-24");
  const prism = await startPrism(t);
  const reply = await ask(t, prism, []);
  assert.deepEqual([reply.status, reply.headers.get("cache-control")], [200, "no-store"]);
  assert.deepEqual(Object.keys(JSON.parse(reply.body) as object), ["token"]);
  const { body } = await prism.get<{ username: string; roles: string[] }>("/api/v1/users/me", {
    token: tokenOf(reply) ?? "",
  });
  assert.deepEqual([body.username, body.roles], ["dev", ["Admin"]]);

  await t.test("or of another user", async (t) => {
    const { id } = await makeUser(prism, "ann");
    for (const ref of [id, "ann"]) {
      const own = tokenOf(await ask(t, prism, [], `${PATH}?user=${ref}`)) ?? "";
      assert.equal((await prism.get<{ id: string }>("/api/v1/users/me", { token: own })).body.id, id);
    }
    for (const unknown of ["me", "01890a5d-ac96-774b-bcce-b302099a8057"])
      assert.equal((await ask(t, prism, [], `${PATH}?user=${unknown}`)).status, 404, unknown);
    assert.equal((await ask(t, prism, [], `${PATH}?other=1`)).status, 400);
  });
});

test("a user who is not known is made, so that a client can connect before its first notification", async (t) => {
  const prism = await startPrism(t);
  const token = tokenOf(await ask(t, prism, [], `${PATH}?user=user-id`)) ?? "";
  const me = (await prism.get<{ id: string; externalId: string; roles: string[] }>("/api/v1/users/me", { token })).body;
  assert.deepEqual([me.externalId, me.roles], ["user-id", []]);
  const sent = { recipients: ["user-id"], title: "Hello!", body: "Timer fired." };
  assert.equal((await prism.post("/api/v1/notifications", sent)).status, 201);
  const { body } = await prism.get<{ data: { title: string }[] }>("/api/v1/notifications", { token });
  assert.deepEqual(valuesOf(body.data, "title"), ["Hello!"]);

  const strict = await startPrism(t, { settings: { "notifications.unknownRecipient": "reject" } });
  assert.equal((await ask(t, strict, [], `${PATH}?user=user-id`)).status, 404);
});

test("D10, S0-24: /dev/token does not exist for callers that may be from another host", async (t) => {
  keepsPromise(t, "S0-24");
  const log = new LogLines();
  const prism = await startPrism(t, { log, settings: { "auth.devTokenHosts": "dev.example,Other.Example" } });
  const own = `127.0.0.1:${prism.app.port}`;
  const issued = rowsOf(prism, "select * from audit_log where action = 'dev.token'").length;
  let served = 0;
  for (const [name, lines, status] of [
    ["localhost", ["Host: localhost"], 200],
    ["localhost with a port", [`Host: localhost:${prism.app.port}`], 200],
    ["localhost in capitals", ["Host: LOCALHOST"], 200],
    ["a loopback address", [`Host: ${own}`], 200],
    ["another loopback address", ["Host: 127.8.9.1"], 200],
    ["the loopback address of IPv6", ["Host: [::1]:3000"], 200],
    ["a host that is listed", ["Host: dev.example"], 200],
    ["a host that is listed, in other letters", ["Host: OTHER.example:8080"], 200],
    ["a host that is rebound", ["Host: evil.example"], 404],
    ["a host that begins like localhost", ["Host: localhost.evil.example"], 404],
    ["a host that ends like localhost", ["Host: evil-localhost"], 404],
    ["a host that begins like loopback", ["Host: 127.0.0.1.evil.example"], 404],
    ["a host that ends like one that is listed", ["Host: x.dev.example"], 404],
    ["every address", ["Host: 0.0.0.0"], 404],
    ["an address of the network", ["Host: 192.168.1.7"], 404],
    ["a host with a path", ["Host: localhost/evil"], 404],
    ["a host with a user", ["Host: evil@localhost"], 404],
    ["a host with two ports", ["Host: localhost:1:2"], 404],
    ["Forwarded", ["Forwarded: for=127.0.0.1"], 404],
    ["X-Forwarded-For", ["X-Forwarded-For: 127.0.0.1"], 404],
    ["X-Forwarded-Host", ["X-Forwarded-Host: localhost"], 404],
    ["X-Forwarded-Proto", ["X-Forwarded-Proto: http"], 404],
    ["X-Real-IP", ["X-Real-IP: 127.0.0.1"], 404],
    ["X-Client-IP", ["X-Client-IP: 127.0.0.1"], 404],
    ["X-Cluster-Client-IP", ["X-Cluster-Client-IP: 127.0.0.1"], 404],
    ["Fly-Client-IP", ["Fly-Client-IP: 127.0.0.1"], 404],
    ["Fastly-Client-IP", ["Fastly-Client-IP: 127.0.0.1"], 404],
    ["X-Amzn-Trace-Id", ["X-Amzn-Trace-Id: Root=1-2"], 404],
    ["X-Original-Host", ["X-Original-Host: localhost"], 404],
    ["X-Azure-ClientIP", ["X-Azure-ClientIP: 127.0.0.1"], 404],
    ["X-Envoy-External-Address", ["X-Envoy-External-Address: 127.0.0.1"], 404],
    ["Via", ["Via: 1.1 proxy"], 404],
    ["CF-Connecting-IP", ["CF-Connecting-IP: 127.0.0.1"], 404],
    ["CF-Ray", ["cf-ray: 1"], 404],
    ["True-Client-IP", ["True-Client-IP: 127.0.0.1"], 404],
    ["an empty forwarding header", ["X-Forwarded-For:"], 404],
    ["its own origin", [`Host: ${own}`, `Origin: http://${own}`], 200],
    ["a page of another port", [`Host: ${own}`, "Origin: http://127.0.0.1:1"], 404],
    ["its own origin by another name", [`Host: ${own}`, `Origin: http://localhost:${prism.app.port}`], 404],
    ["its own origin over TLS", [`Host: ${own}`, `Origin: https://${own}`], 404],
    ["a foreign page", ["Origin: https://evil.example"], 404],
    ["a page without origin", ["Origin: null"], 404],
    ["an address that somebody typed", ["Sec-Fetch-Site: none"], 200],
    ["a page of its own", ["Sec-Fetch-Site: same-origin"], 200],
    ["a link of the same site", ["Sec-Fetch-Site: same-site"], 404],
    ["a link from elsewhere", ["Sec-Fetch-Site: cross-site"], 404],
    ["Sec-Fetch-Site twice", ["Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"], 404],
  ] as const) {
    await t.test(`${name}: ${status}`, async (t) => {
      const reply = await ask(t, prism, lines);
      assert.equal(reply.status, status);
      if (status === 200) served++;
      else {
        const { error } = JSON.parse(reply.body) as { error: { code: string; message: string } };
        const unknown = JSON.parse((await ask(t, prism, lines, "/no/such/route")).body) as typeof error & {
          error: typeof error;
        };
        assert.deepEqual(
          [error.code, error.message],
          [unknown.error.code, unknown.error.message],
          "as if there were none",
        );
      }
    });
  }
  await t.test("every issue is one WARN line and one audit entry, and no refusal is", () => {
    const { devUserId } = prism.parts.offers;
    const warnings = log.lines.filter(({ message }) => message === "issued a development token");
    assert.equal(warnings.length, served + 1, "and the one that this test began with");
    assert.ok(warnings.every(({ level, fields }) => level === "warn" && fields["userId"] === devUserId));
    const entries = rowsOf<{ resourceId: string; ip: string }>(
      prism,
      "select * from audit_log where action = 'dev.token' order by seq",
    ).slice(issued);
    assert.equal(entries.length, served);
    assert.ok(entries.every(({ resourceId, ip }) => resourceId === devUserId && ip === "127.0.0.1"));
    assert.ok(!JSON.stringify([log.lines, entries]).includes("eyJ"), "no token in either");
  });
});

test("D10: a public address, another network or production closes /dev/token", async (t) => {
  for (const [name, settings, status] of [
    ["publicUrl on this machine", { publicUrl: "http://localhost:3000" }, 200],
    ["publicUrl on this machine's IPv6", { publicUrl: "http://[::1]:3000" }, 200],
    ["publicUrl elsewhere", { publicUrl: "https://prism.example" }, 404],
    ["only other networks", { "auth.devTokenCidrs": "10.0.0.0/8" }, 404],
    ["this network among others", { "auth.devTokenCidrs": "10.0.0.0/8,127.0.0.1/32" }, 200],
  ] as const) {
    await t.test(name, async (t) => {
      const prism = await startPrism(t, { settings });
      assert.equal((await ask(t, prism, [])).status, status);
    });
  }
  await t.test("in production there is no such route, for any method", async (t) => {
    const secret = (): string => randomBytes(32).toString("base64");
    const settings = { env: "production", "auth.jwtSecret": secret(), encryptionKey: secret() };
    const prism = await startPrism(t, { settings });
    for (const method of ["GET", "HEAD", "POST", "OPTIONS"]) {
      const reply = await exchangeRaw(t, prism.app.port, requestText(method, PATH), method);
      assert.equal(reply.status, 404, method);
    }
    assert.equal(prism.adminToken, undefined);
    assert.ok(!prism.parts.core.router.mounts.some(({ path }) => path.startsWith("/dev")));
    assert.equal((await prism.get("/metrics", { token: null })).status, 401, "what D10 opens besides is closed too");
  });
});
