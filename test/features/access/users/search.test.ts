import assert from "node:assert/strict";
import test from "node:test";
import type { Targets as Found } from "../../../../src/client/api-types.gen.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { valuesOf } from "../../../helpers/values.ts";

test("writers of rules find active users and roles by name, without their addresses", async (t) => {
  const prism = await startPrism(t);
  const anna = await makeUser(prism, "anna");
  await prism.patch(`/api/v1/users/${anna.id}`, { email: "secret@example.org" });
  const gone = await makeUser(prism, "annabel");
  await prism.patch(`/api/v1/users/${gone.id}`, { status: "disabled" });
  const writer = await makeUser(prism, "rita", ["RuleManager"]);
  const find = (q: string, token: string) => prism.get<Found>(`/api/v1/users/search?q=${q}`, { token });
  const { body, text } = await find("ANN", writer.token);
  assert.deepEqual(body.users, [{ id: anna.id, name: "anna", username: "anna" }]);
  assert.equal(text.includes("secret@"), false);
  assert.deepEqual((await find("secret", writer.token)).body.users, [], "an address finds nothing");
  assert.deepEqual(valuesOf((await find("audit", writer.token)).body.roles, "name"), ["Auditor"]);
  const plain = await makeUser(prism, "paul", ["User"]);
  assert.equal((await find("ann", plain.token)).status, 403);
});
