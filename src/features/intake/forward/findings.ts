import { countText } from "../../../core/text/clean-text.ts";
import type { Uses } from "../../../module/feature.ts";
import type { FeatureFindings } from "../../../module/findings.ts";

/** Requests of mirrors that the old system does not get. */
export const forwardFindings: FeatureFindings<Uses<"forwarding">> = {
  known: ({ forwarding }) =>
    forwarding.problems().map(({ id, kind, count, since, problem }) => ({
      ...{ code: "forward", severity: "warning", subject: id, since },
      text: `Requests of ${kind === "receivers" ? "a receiver" : "an integration"} are not passed on: ${problem}`,
      fix: "look at its forwardUrl, and at the system behind it",
      shown: {
        ...{ kind: "config", key: `forward:${id}`, link: "/connect" },
        detail: `${countText(count, "request waits", "requests wait")}; each is given up after a day`,
        counts: { requests: count },
      },
    })),
};
