import { type MetricLabels, Metrics } from "../../../core/metrics.ts";
import { VERSION } from "../../../core/runtime.ts";
import { type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { silenceAt } from "../../alerts/index.ts";
import { configurationHash, configurationText, receiverNames } from "./configuration.ts";
import type { AlertmanagerOwn } from "./context.ts";
import { withheldAlerts } from "./get-alerts.ts";
import { receiverLabels } from "./query.ts";

/**
 * The version of Alertmanager that has this API. amtool compares it with its own, and Karma selects
 * its client by it.
 */
const API_VERSION = "0.34.0";

const BUILD = { version: API_VERSION, revision: `prism-${VERSION}`, branch: "prism" };

/** `GET /api/v2/status` */
export async function getStatus(own: AlertmanagerOwn, projectId: string): Promise<object> {
  const { document } = own.policies.routingOf(projectId);
  return {
    cluster: { peers: [], status: "disabled" },
    config: { original: await configurationText(document, policyNames(own, projectId)) },
    // As in Alertmanager: the time of the start.
    uptime: toRfc3339(own.startedAt),
    versionInfo: { ...BUILD, buildUser: "", buildDate: "", goVersion: "" },
  };
}

function policyNames({ policies }: AlertmanagerOwn, projectId: string): readonly string[] {
  return [...policies.of(projectId).keys()];
}

/** `GET /api/v2/receivers` */
export async function listReceivers(own: AlertmanagerOwn, exchange: Exchange, projectId: string) {
  const labels = await receiverLabels(exchange);
  if ("refusal" in labels) return labels.refusal;
  if (!labels.value) return [];
  const { document } = own.policies.routingOf(projectId);
  return receiverNames(document, policyNames(own, projectId)).map((name) => ({ name }));
}

/** Counts of posts to one project since the start. */
export interface Received {
  firing: number;
  resolved: number;
  invalid: number;
}

/** Counts posted alerts by project, for the metrics of each. */
export class ReceivedAlerts {
  readonly #byProject = new Map<string, Received>();

  of(projectId: string): Received {
    const known = this.#byProject.get(projectId);
    if (known) return known;
    const made = { firing: 0, resolved: 0, invalid: 0 };
    this.#byProject.set(projectId, made);
    return made;
  }
}

/** `GET /metrics`: what dashboards, Alertmanager's mixin and Karma read of it, for one project. */
export async function metricsText(
  own: AlertmanagerOwn,
  received: ReceivedAlerts,
  projectId: string,
  now: EpochMs,
): Promise<string> {
  const { document } = own.policies.routingOf(projectId);
  const policies = policyNames(own, projectId);
  const silences = (await own.silences.kept(projectId)).map((row) => silenceAt(row, now));
  const text = await configurationText(document, policies);
  const metrics = new Metrics();
  const gauge = (name: string, help: string, values: readonly (readonly [MetricLabels, number])[] | number): void =>
    metrics.gauge(`alertmanager_${name}`, help, () => values);
  const counter = (name: string, help: string, values: readonly (readonly [MetricLabels, number])[]): void =>
    metrics.counterOf(`alertmanager_${name}`, help, () => values);
  gauge("build_info", "The version of Alertmanager's API.", [[{ ...BUILD, goversion: "" }, 1]]);
  gauge("alerts", "How many alerts by state.", await alertCounts(own, projectId));
  const { firing, resolved, invalid } = received.of(projectId);
  counter("alerts_received_total", "The total number of received alerts.", [
    [{ status: "firing", version: "v2" }, firing],
    [{ status: "resolved", version: "v2" }, resolved],
  ]);
  counter("alerts_invalid_total", "The total number of received alerts that were invalid.", [
    [{ version: "v2" }, invalid],
  ]);
  gauge(
    "silences",
    "How many silences by state.",
    (["active", "expired", "pending"] as const).map((state) => [
      { state },
      silences.filter((silence) => silence.state === state).length,
    ]),
  );
  gauge("receivers", "Number of configured receivers.", receiverNames(document, policies).length);
  gauge("inhibition_rules", "Number of configured inhibition rules.", document.inhibitRules?.length ?? 0);
  gauge("config_hash", "Hash of the configuration.", configurationHash(text));
  gauge("config_last_reload_successful", "Whether the last configuration was valid.", 1);
  gauge("config_last_reload_success_timestamp_seconds", "Time of the start.", own.startedAt / 1000);
  gauge("cluster_enabled", "Whether clustering is enabled.", 0);
  return metrics.render();
}

async function alertCounts(own: AlertmanagerOwn, projectId: string): Promise<(readonly [MetricLabels, number])[]> {
  let [active, suppressed] = [0, 0];
  for await (const { withheld } of withheldAlerts(own, projectId, () => true)) {
    if (withheld.silencedBy.length + withheld.inhibitedBy.length > 0) suppressed += 1;
    else active += 1;
  }
  return [
    [{ state: "active" }, active],
    [{ state: "suppressed" }, suppressed],
    [{ state: "unprocessed" }, 0],
  ];
}

const OPERATIONS: Readonly<Record<string, readonly (readonly [method: string, id: string])[]>> = {
  "/status": [["get", "getStatus"]],
  "/receivers": [["get", "getReceivers"]],
  "/silences": [
    ["get", "getSilences"],
    ["post", "postSilences"],
  ],
  "/silence/{silenceID}": [
    ["get", "getSilence"],
    ["delete", "deleteSilence"],
  ],
  "/alerts": [
    ["get", "getAlerts"],
    ["post", "postAlerts"],
  ],
  "/alerts/groups": [["get", "getAlertGroups"]],
};

/** `GET /api/v2/swagger.json`: the operations; Alertmanager's own document has their schemas. */
export function swaggerDocument(basePath: string): object {
  const operation = (id: string) => ({ operationId: id, responses: { 200: { description: "OK" } } });
  return {
    swagger: "2.0",
    info: { title: "Alertmanager API", version: "0.0.1", description: "API of Alertmanager, served by Prism" },
    basePath,
    consumes: ["application/json"],
    produces: ["application/json"],
    paths: Object.fromEntries(
      Object.entries(OPERATIONS).map(([path, operations]) => [
        path,
        Object.fromEntries(operations.map(([method, id]) => [method, operation(id)])),
      ]),
    ),
  };
}
