import type { Server } from "./processes.ts";

type Address = Pick<Server, "url">;

/** The account and project of a fresh server. */
export interface Setup {
  readonly token: string;
  readonly apiKey: string;
  readonly projectId: string;
  readonly userId: string;
}

export async function setUp(server: Address): Promise<Setup> {
  const { token } = (await call(server, "GET", "/dev/token")) as { token: string };
  const project = (await call(server, "POST", "/api/v1/projects", token, { name: "bench" })) as {
    id: string;
    apiKey: string;
  };
  const { id: userId } = (await call(server, "GET", "/api/v1/users/me", token)) as { id: string };
  return { token, apiKey: project.apiKey, projectId: project.id, userId };
}

/**
 * Rules of which exactly one fires for one event in a hundred; the others require an equality that
 * is rarely true.
 */
export async function addRules(server: Address, { token, userId }: Setup, count: number): Promise<void> {
  await call(server, "POST", "/api/v1/rules", token, {
    name: "fires",
    condition: "event.type == 'payment.failed' and event.payload.amount > 1000 and event.payload.region == 'eu'",
    targetUsers: [userId],
  });
  for (let from = 1; from < count; from += 50) {
    const batch = Array.from({ length: Math.min(50, count - from) }, (_, i) =>
      call(server, "POST", "/api/v1/rules", token, {
        name: `rule ${from + i}`,
        condition: `event.type == 'kind.${from + i}' and event.payload.amount > ${from + i}`,
        targetUsers: [userId],
      }),
    );
    await Promise.all(batch);
  }
}

/** A hundred bodies of 281 bytes; one of them matches a rule. */
export function eventBodies(): string[] {
  return Array.from({ length: 100 }, (_, i) => {
    const body = {
      type: i === 0 ? "payment.failed" : "payment.settle",
      source: "shop-frontend",
      payload: {
        amount: 1500 + i,
        region: "eu",
        currency: "EUR",
        customer: `customer-${1000 + i}`,
        note: "paid by card, second attempt",
        items: [1, 2, 3],
        address: { city: "Lyon", zip: "69001" },
        pad: "",
      },
    };
    body.payload.pad = "x".repeat(281 - JSON.stringify(body).length);
    return JSON.stringify(body);
  });
}

export async function call(
  server: Address,
  method: string,
  path: string,
  token?: string,
  body?: unknown,
): Promise<unknown> {
  const response = await fetch(server.url + path, {
    method,
    headers: {
      ...(token ? { Authorization: `Bearer ${token}` } : {}),
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const reply: unknown = await response.json();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(reply)}`);
  return reply;
}
