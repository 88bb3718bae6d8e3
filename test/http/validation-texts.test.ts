import assert from "node:assert/strict";
import test from "node:test";
import { startPrism } from "../helpers/prism.ts";

interface Refusal {
  error: { details: { path: string; message: string }[] };
}

test("a refused member is named with its value and what is allowed, in the same words everywhere", async (t) => {
  const prism = await startPrism(t);
  const rule = { name: "r", condition: "true" };
  for (const { method = "POST", path, body, is } of [
    {
      path: "/api/v1/rules",
      body: { ...rule, cooldownMs: -1 },
      is: "must be a whole number from 0 to 2592000000, not -1",
    },
    { path: "/api/v1/rules", body: { ...rule, targetRoles: "User" }, is: 'must be an array, not "User"' },
    { path: "/api/v1/rules", body: { ...rule, channels: ["sms"] }, is: /^must be .*, not "sms"$/ },
    { path: "/api/v1/rules", body: { ...rule, active: 1 }, is: "must be true or false, not 1" },
    { path: "/api/v1/rules", body: { ...rule, suppression: [] }, is: "must be an object, not an array" },
    { path: "/api/v1/auth/login", body: { login: "ann", password: 5 }, is: "must be a string, not 5" },
    { method: "GET", path: "/api/v1/notifications?status=foo", is: /^must be unread, read, .* or all, not "foo"$/ },
  ]) {
    const reply = await prism.request<Refusal>(method, path, body);
    const [detail] = reply.body.error.details;
    if (is instanceof RegExp) assert.match(detail?.message ?? "", is);
    else assert.equal(detail?.message, is, path);
  }
  const { body } = await prism.post<Refusal>("/api/v1/auth/login", {
    login: 1,
    password: "x".repeat(2000),
    secretToken: "abc",
  });
  assert.doesNotMatch(
    JSON.stringify(body.error.details),
    /Invalid|xxx|abc/,
    "no text of the validation library, and no secret",
  );
});
