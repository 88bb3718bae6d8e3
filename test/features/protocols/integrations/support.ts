import type { TestContext } from "node:test";
import type { Alert, Incident, IssuedIntegration as Made } from "../../../../src/client/api-types.gen.ts";
import { type Reply, startPrism, type TestPrism } from "../../../helpers/prism.ts";

export type { Alert, Incident, IssuedIntegration as Made } from "../../../../src/client/api-types.gen.ts";

/** A server with an integration, and requests with its key. */
export class IntegrationTest {
  readonly prism: TestPrism;
  readonly integration: Made;

  private constructor(prism: TestPrism, integration: Made) {
    this.prism = prism;
    this.integration = integration;
  }

  static async start(t: TestContext, kind: string, labels: Record<string, string> = {}): Promise<IntegrationTest> {
    const prism = await startPrism(t, { settings: { "rateLimit.enabled": "false" } });
    const { body } = await prism.post<Made>("/api/v1/integrations", { kind, name: "cluster", labels });
    return new IntegrationTest(prism, body);
  }

  /** Without a credential of Prism's. */
  send<T>(path: string, body: unknown): Promise<Reply<T>> {
    return this.prism.post<T>(path, body, { token: null });
  }

  genie<T>(method: string, path: string, body?: unknown, key = this.integration.key): Promise<Reply<T>> {
    const headers = { Authorization: `GenieKey ${key}` };
    return this.prism.request<T>(method, path, body, { token: null, headers });
  }

  async alerts(state = "firing"): Promise<readonly Alert[]> {
    return (await this.prism.get<{ data: Alert[] }>(`/api/v1/alerts?state=${state}`)).body.data;
  }

  async incidents(state?: string): Promise<readonly Incident[]> {
    const query = state === undefined ? "" : `?state=${state}`;
    return (await this.prism.get<{ data: Incident[] }>(`/api/v1/incidents${query}`)).body.data;
  }
}
