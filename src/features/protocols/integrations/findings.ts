import { countText } from "../../../core/text/clean-text.ts";
import type { Uses } from "../../../module/feature.ts";
import type { FeatureFindings } from "../../../module/findings.ts";

/** Keys that wait, until all are assigned. */
export const claimFindings: FeatureFindings<Uses<"claims">> = {
  known({ claims: { waiting } }) {
    if (waiting === 0) return [];
    return [
      {
        ...{ code: "claims", severity: "warning" },
        text: `${countText(waiting, "Opsgenie key waits", "Opsgenie keys wait")} to be assigned`,
        shown: {
          ...{ kind: "config", key: "claims", link: "/connect" },
          detail: "Requests with keys that this server does not know were kept",
          counts: { keys: waiting },
        },
      },
    ];
  },
  permission: "projects:all",
};
