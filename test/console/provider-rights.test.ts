import assert from "node:assert/strict";
import test from "node:test";
import { uuidv7 } from "../../src/core/ids.ts";
import { applyGroups } from "../../src/features/access/group-rights/apply-groups.ts";
import { PROXY } from "../features/access/proxy-header/support.ts";
import { makeProject } from "../helpers/people.ts";
import { assertAccessible, startConsole } from "./helpers.ts";

test("the console says which provider gives a role, and asks for no password where none counts", async (t) => {
  const settings = { ...PROXY, "auth.proxyHeader.label": "Company", "auth.localLogin": "off" };
  const console = await startConsole(t, { settings });
  if (!console) return;
  const { prism } = console;
  const { db } = prism.services;
  const shop = await makeProject(prism);
  const grace = await console.person("grace", ["User"]);
  const rights = {
    userId: grace.id,
    source: "oidc:company",
    roles: { ops: "Operator" },
    projects: { ops: "shop:editor" },
  };
  await db.write((trx) => applyGroups(prism.parts.offers.accounts, rights, ["ops"], trx));

  const page = await console.open(`/projects/${shop.id}`, { width: 360 });
  await page.getByText("from company").first().waitFor();
  await assertAccessible(page, "members");
  await page.goto(`${prism.url}/dashboard/people/${grace.id}`);
  await page.getByText("from company").first().waitFor();
  await assertAccessible(page, "a person with a role from a provider");

  const admin = await console.person("root", ["Admin"]);
  const identity = { id: uuidv7(), issuer: "proxy:remote-user", subject: "root", userId: admin.id, linkedAt: 1 };
  const visitor = await console.open("/sign-in", { as: null, width: 360 });
  await visitor.getByRole("link", { name: "Sign in with Company" }).waitFor();
  assert.equal(await visitor.getByLabel("Password").count(), 1, "administrators still sign in with theirs");
  await db.write((trx) => trx.insertInto("identities").values(identity).execute());
  await visitor.reload();
  await visitor.getByRole("link", { name: "Sign in with Company" }).waitFor();
  assert.equal(await visitor.getByLabel("Password").count(), 0);
  assert.equal(await visitor.getByText("Forgot your password?").count(), 0);
  await assertAccessible(visitor, "sign-in without passwords");
  console.assertClean();
});
