import type { Finding } from "../../core/finding.ts";
import { countText } from "../../core/text/clean-text.ts";
import type { Uses } from "../../module/feature.ts";
import type { FeatureFindings } from "../../module/findings.ts";
import { countFailures } from "./queries.ts";

const LINK = "/events?processed=false";

const LAG: Finding = {
  ...{ code: "rules lag", severity: "warning" },
  text: "The rules are lagging",
  shown: {
    ...{ kind: "events", key: "events:lag", link: LINK },
    detail: "Events are stored faster than they are evaluated",
  },
};

/** Events that the rules have not evaluated. */
export const eventFindings: FeatureFindings<Uses<"backlog" | "db">> = {
  known: lagging,
  async shownTo(parts) {
    const failed = await countFailures(parts.db.scan);
    return [...(failed === 0 ? [] : [failedEvents(failed)]), ...lagging(parts)];
  },
};

function lagging({ backlog }: Uses<"backlog">): Finding[] {
  return backlog.isBehind ? [LAG] : [];
}

function failedEvents(events: number): Finding {
  return {
    ...{ code: "events failed", severity: "warning" },
    text: `${countText(events, "event")} could not be evaluated`,
    shown: {
      ...{ kind: "events", key: "events:failed", link: LINK },
      detail: "The rules are tried again by their jobs",
      counts: { events },
    },
  };
}
