import type { Finding } from "../../core/finding.ts";
import type { Uses } from "../../module/feature.ts";
import type { FeatureFindings } from "../../module/findings.ts";

type Parts = Uses<"alerts" | "incidents" | "settings" | "clock">;

/** Sources that fell silent, and incidents that no one hears of. */
export const alertFindings: FeatureFindings<Parts> = {
  known: ({ alerts }) => alerts.silentSources().map(silentSource),
  lastResort: { "page-undelivered": unreached, "turn-failed": failedTurns },
};

/** The incident that pages people for it (incidents/silent-source.ts) is in the overview itself. */
function silentSource({ sender, since }: { readonly sender: string; readonly since: number }): Finding {
  const text = `Source silent: ${sender}`;
  return { code: "source-silent", severity: "warning", subject: sender, text, since, pages: "people" };
}

async function unreached({ incidents, settings }: Parts): Promise<Finding | null> {
  const { emergency, publicUrl } = settings.current;
  const found = await incidents.unreached(emergency.afterMs);
  const [oldest] = found;
  if (!oldest) return null;
  const url = publicUrl?.replace(/\/+$/, "");
  const link = url === undefined ? {} : { link: `${url}/dashboard/incidents/${oldest.id}` };
  const count = found.length === 1 ? "An incident has" : `${found.length} incidents have`;
  return {
    ...{ code: "page-undelivered", severity: "critical", pages: "last resort" },
    text: `${count} reached no one. The oldest is incident ${oldest.number}.`,
    since: oldest.since,
    facts: { incidents: found.length, number: oldest.number, ...link },
  };
}

function failedTurns({ incidents, settings, clock }: Parts): Finding | null {
  const { failingMs } = incidents;
  if (failingMs < settings.current.emergency.afterMs) return null;
  const text = "Steps of an incident fail with an error; the log names it.";
  const since = Math.round(clock.now() - failingMs);
  return { code: "turn-failed", severity: "critical", pages: "last resort", text, since };
}
