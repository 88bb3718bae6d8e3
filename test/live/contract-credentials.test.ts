import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toRfc3339 } from "../../src/core/time/clock.ts";
import { createServiceToken, revokeServiceToken } from "../../src/features/access/users/create-user.ts";
import { logIn, makeAccount } from "../features/access/sessions/support/auth-client.ts";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { numbersOf } from "./support/live-client.ts";
import { LiveServer, PROTOCOLS, TOKEN_PROTOCOLS } from "./support/live-server.ts";

/** Most of these wait for the server's next look at rights. */
const TOGETHER = { concurrency: true };
const ROLES = ["Admin"];

for (const protocol of PROTOCOLS) {
  describe(`${protocol.name}: credentials that end while connected`, TOGETHER, () => {
    test("S3-22: a logout ends the login's connections, not those of the user's other logins", async (t) => {
      keepsPromise(t, "S3-22");
      const server = await LiveServer.start(t, { settings: { "auth.bcryptCost": "4" } });
      const { id } = await makeAccount(server.prism, { username: "uma" }, { roles: ROLES });
      const [here, there] = [await logIn(server.prism, "uma"), await logIn(server.prism, "uma")];
      const client = await server.connect(protocol, { token: here.token });
      const other = await server.connect(protocol, { token: there.token });
      await server.prism.post("/api/v1/auth/logout", undefined, { token: here.token });
      assert.equal(await client.end, protocol.ends.unauthenticated);
      await server.feedOf(protocol, id).publish();
      await eventually("the other hears", () => numbersOf(other).length === 1);
    });

    test("revoking a service token ends its connections, not the user's others", async (t) => {
      const server = await LiveServer.start(t);
      const { parts, adminToken } = server.prism;
      const issued = await parts.base.database.write((trx) =>
        createServiceToken(parts.base, { userId: server.userId, name: "CI" }, trx),
      );
      const client = await server.connect(protocol, { token: issued.token });
      const other = await server.connect(protocol, { token: adminToken });
      await parts.base.database.write((trx) => revokeServiceToken(parts.base, issued.id, trx));
      server.prism.rightsChanged();
      assert.equal(await client.end, protocol.ends.unauthenticated);
      await server.feedOf(protocol).publish();
      await eventually("the other hears", () => numbersOf(other).length === 1);
    });
  });
}

for (const protocol of TOKEN_PROTOCOLS) {
  test(`S3-10, S3-38: ${protocol.name}: the connection ends with its token, and not before`, async (t) => {
    const clock = new FakeClock();
    // Less than the silence after which a peer counts as dead.
    const server = await LiveServer.start(t, { clock, settings: { "auth.accessExpires": "50s" } });
    const client = await server.connect(protocol);
    clock.advance(20_000);
    await server.feedOf(protocol).publish();
    await eventually("it still hears", () => numbersOf(client).length === 1);
    clock.advance(31_000);
    assert.equal(await client.end, protocol.ends.expired);
  });
}

for (const protocol of TOKEN_PROTOCOLS.filter(({ follows }) => follows === "project")) {
  describe(`${protocol.name}: keys that end while connected`, TOGETHER, () => {
    test("a key that expires ends its connections", async (t) => {
      const clock = new FakeClock();
      const server = await LiveServer.start(t, { clock });
      const key = await server.newKey({ expiresAt: toRfc3339(clock.now() + 20_000) });
      const client = await server.connect(protocol, { token: key.key });
      clock.advance(20_000);
      assert.equal(await client.end, protocol.ends.expired);
    });

    test("a key that is revoked ends its connections, and no others", async (t) => {
      const server = await LiveServer.start(t);
      const key = await server.newKey();
      const client = await server.connect(protocol, { token: key.key });
      const other = await server.connect(protocol, { token: server.apiKey });
      await key.revoke();
      assert.equal(await client.end, protocol.ends.unauthenticated);
      await server.feed.publish();
      await eventually("the other hears", () => numbersOf(other).length === 1);
    });
  });
}
