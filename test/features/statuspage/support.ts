import type { StatusPage as View } from "../../../src/client/api-types.gen.ts";
import { eventually } from "../../helpers/eventually.ts";
import type { Reply, TestPrism } from "../../helpers/prism.ts";
import { answered } from "../../helpers/prism.ts";

export const PATH = "/api/v1/status-page";
export const PUBLIC = "/status/default";

export interface Component {
  readonly id: string;
  readonly name: string;
  readonly state: string;
}

export interface Summary {
  readonly title: string;
  readonly state: string;
  readonly groups: readonly { readonly components: readonly Component[] }[];
  readonly notices: readonly { readonly title: string; readonly state: string }[];
  readonly planned: readonly { readonly title: string; readonly state: string }[];
}

export type { StatusPage as View } from "../../../src/client/api-types.gen.ts";

/** A page with the component "Website", which alerts with `service="web"` concern. */
export const WEBSITE = {
  enabled: true,
  title: "Shop",
  groups: [
    { name: "Shop", components: [{ name: "Website", sources: [{ matchers: ['service="web"'], effect: "outage" }] }] },
  ],
};

export async function putPage(prism: TestPrism, body: object = WEBSITE): Promise<View> {
  const reply = await answered(200, prism.request<View>("PUT", PATH, body));
  return reply.body;
}

/** As a visitor, without a credential. */
export function visit<T = Record<string, unknown>>(prism: TestPrism, path: string, headers = {}): Promise<Reply<T>> {
  return prism.get<T>(PUBLIC + path, { token: null, headers });
}

export async function fire(prism: TestPrism, key: string, labels: Record<string, string>): Promise<void> {
  const alerts = [{ key, labels: { alertname: "Down", ...labels } }];
  await answered(200, prism.post("/api/v1/alerts", { alerts }));
}

export async function resolve(prism: TestPrism, key: string): Promise<void> {
  await prism.post("/api/v1/alerts", { alerts: [{ key, status: "resolved" }] });
}

/** Waits until visitors see the states of all components. */
export async function shows(prism: TestPrism, ...states: string[]): Promise<void> {
  await eventually(`the page shows ${states.join(", ")}`, async () => {
    const { body } = await visit<Summary>(prism, ".json");
    const shown = body.groups.flatMap(({ components }) => components.map(({ state }) => state));
    return JSON.stringify(shown) === JSON.stringify(states);
  });
}
