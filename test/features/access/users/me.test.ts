import assert from "node:assert/strict";
import test from "node:test";
import { createUser } from "../../../../src/features/access/users/create-user.ts";
import { makeProject } from "../../../helpers/people.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf } from "../../../helpers/tables.ts";

const PATHS = ["/api/v1/users/me", "/api/profile", "/api/v1/profile"];

test("S2-45, S3-23: the caller's own account, by every path, without internal members", async (t) => {
  keepsPromise(t, ["S2-45", "S3-23"]);
  const prism = await startPrism(t);
  const { database: db, audit, clock } = prism.parts.base;
  const { accessTokens } = prism.parts.offers;
  const { id } = await db.write((trx) =>
    createUser(
      { audit, clock },
      {
        email: "Ann@Example.org",
        username: "ann",
        name: "Ann \u202eB\u0000.",
        externalId: "ext-1",
        timezone: "Europe/Vienna",
        roles: ["Viewer", "User"],
      },
      trx,
    ),
  );
  await db.write((trx) => trx.updateTable("users").set({ passwordHash: "$2b$12$hash" }).where("id", "=", id).execute());
  const { token } = await accessTokens.issue(id);
  const [row] = rowsOf<{ createdAt: number; updatedAt: number }>(prism, "select * from users where id = ?", id);
  for (const path of PATHS) {
    await t.test(path, async () => {
      const { status, body, text, headers } = await prism.get(path, { token });
      assert.deepEqual(
        [status, body],
        [
          200,
          {
            id,
            email: "ann@example.org",
            emailVerified: false,
            username: "ann",
            phone: null,
            externalId: "ext-1",
            name: "Ann B.",
            roles: ["User", "Viewer"],
            permissions: [
              "roles:read",
              "rules:read",
              "events:read",
              "events:write",
              "projects:create",
              "buckets:read",
              "sounds:read",
              "timers:create",
              "jobs:read",
              "messages:own",
              "tasks:own",
              "system:status",
            ],
            status: "active",
            timezone: "Europe/Vienna",
            effectiveTimezone: "Europe/Vienna",
            locale: "en",
            createdAt: new Date(row?.createdAt ?? 0).toISOString(),
            updatedAt: new Date(row?.updatedAt ?? 0).toISOString(),
            pushTokens: { fcm: false, apns: false },
            pusherChannels: [],
            roleSources: {},
            hasPassword: true,
            lastLoginAt: null,
            secondFactor: { enabled: false, since: null, recoveryCodesLeft: 0, app: false, passkeys: 0 },
          },
        ],
      );
      assert.ok(!/hash|prefs|\$2b/i.test(text));
      assert.equal(headers.get("cache-control"), "no-store");
    });
  }
});

test("S2-45: a project's key has no account", async (t) => {
  keepsPromise(t, "S2-45");
  const prism = await startPrism(t);
  const { apiKey } = await makeProject(prism);
  for (const path of PATHS) {
    const { status, body } = await prism.get<{ error: { code: string } }>(path, { apiKey });
    assert.deepEqual([status, body.error.code], [403, "FORBIDDEN"]);
  }
});
