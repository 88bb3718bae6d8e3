import { makeUser } from "../../../helpers/people.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { makeCallers } from "./callers.ts";
import type { Caller } from "./known.ts";
import { idOf, join, leave, makeRole, makeRule, makeServiceToken, makeTask } from "./makers.ts";

/**
 * What the routes of the matrix are about: the project `shop`, what is in it, and what belongs to
 * its keeper.
 */
export interface AccessWorld {
  readonly prism: TestPrism;
  readonly shop: string;
  /** Owner of the shop, who calls nothing. */
  readonly keeper: string;
  /** A service token of the keeper's. */
  readonly keepersToken: string;
  /** A member of the shop who is made a member and removed. */
  readonly spare: string;
  /** A role without users. */
  readonly role: string;
  readonly event: string;
  readonly rule: string;
  readonly notification: string;
  /** From a user who calls nothing to the keeper, not delivered yet. */
  readonly message: string;
  /** The keeper's. */
  readonly task: string;
  readonly callers: readonly Caller[];
}

export async function makeAccessWorld(prism: TestPrism): Promise<AccessWorld> {
  const keeper = (await makeUser(prism, "keeper")).id;
  const keepersToken = (await makeServiceToken(prism, keeper)).id;
  const spare = (await makeUser(prism, "spare")).id;
  const shop = await idOf(prism.post("/api/v1/projects", { name: "shop" }));
  const other = await idOf(prism.post("/api/v1/projects", { name: "other" }));
  await join(prism, shop, keeper, "owner");
  // Incidents of the shop notify the keeper only: who is notified of one may act on it.
  await prism.put(`/api/v1/policies/${shop}`, { name: "default", steps: [{ type: "notify", users: [keeper] }] });
  const admin = await idOf(prism.get("/api/v1/users/me"));
  await leave(prism, shop, admin);
  const role = await makeRole(prism);
  const event = await idOf(prism.post("/api/v1/events", { type: "a", projectId: shop }));
  const rule = await makeRule(prism, shop);
  const notification = await idOf(
    prism.post("/api/v1/notifications", { userId: keeper, title: "t", message: "the keeper's own" }),
  );
  const message = await idOf(
    prism.post("/api/v1/messages", { recipientId: keeper, content: "to the keeper", delayMs: 2_592_000_000 }),
  );
  const task = await makeTask(prism, keeper);
  const callers = await makeCallers(prism, shop, other);
  return { prism, shop, keeper, keepersToken, spare, role, event, rule, notification, message, task, callers };
}

/** A user with every permission, by role and in the shop. */
export function adminOf({ callers }: AccessWorld): Caller & { readonly kind: "user" } {
  const admin = callers.find(({ name }) => name === "Admin, owner");
  if (admin?.kind !== "user") throw new TypeError("no Admin owns the shop");
  return admin;
}
