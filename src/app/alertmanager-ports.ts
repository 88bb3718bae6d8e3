import type { AlertmanagerOwn } from "../features/alertmanager/index.ts";

/** Everything goes to the policy `default`. */
export function alertmanagerPorts(): Pick<AlertmanagerOwn, "routingOf" | "policiesOf"> {
  const document = { route: { policy: "default", groupBy: ["alertname"] } };
  const settings = { policy: "default", muteIntervals: [], activeIntervals: [], path: ["{}"] };
  return {
    routingOf: () => ({
      document,
      match: ({ alertname = "" }) => [
        { settings, groupKey: `{}:{alertname=${JSON.stringify(alertname)}}`, groupLabels: { alertname } },
      ],
    }),
    policiesOf: async () => ["default"],
  };
}
