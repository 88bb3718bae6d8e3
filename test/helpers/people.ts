import { createUser } from "../../src/features/access/users/create-user.ts";
import type { TestPrism } from "./prism.ts";

/** A user with roles and an access token, made without going through registration. */
export async function makeUser(
  prism: TestPrism,
  username: string,
  roles: readonly string[] = [],
): Promise<{ id: string; token: string }> {
  const { parts } = prism;
  const { id } = await parts.base.database.write((trx) => createUser(parts.base, { username, roles }, trx));
  const { token } = await parts.offers.accessTokens.issue(id);
  return { id, token };
}

/** A project of the administrator's with its first API key. */
export async function makeProject(prism: TestPrism, name = "shop"): Promise<{ id: string; apiKey: string }> {
  const { body } = await prism.post<{ id: string; apiKey: string }>("/api/v1/projects", { name });
  return body;
}
