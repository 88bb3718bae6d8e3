import type { Finding } from "../../../core/finding.ts";
import type { Uses } from "../../../module/feature.ts";
import type { FeatureFindings } from "../../../module/findings.ts";

/** What the emergency contacts are called for, and a `watch.url` that is not called. */
export const watchFindings: FeatureFindings<Uses<"emergency" | "watch">> = {
  known: ({ emergency, watch }) => [...[...emergency.raised].map(called), ...uncalled(watch.outgoing.problem)],
};

function called([reason, { since, text }]: [string, { readonly since: number; readonly text: string }]): Finding {
  return {
    ...{ code: "emergency called", severity: "critical", subject: reason, text, since },
    shown: {
      ...{ kind: "watch", key: `emergency:${reason}`, link: "/settings" },
      detail: "The emergency contacts are called every 15 minutes",
    },
  };
}

function uncalled(problem: { readonly since: number; readonly text: string } | null): Finding[] {
  if (problem === null) return [];
  const shown = { kind: "watch", key: "watch.url", detail: problem.text, link: "/settings" } as const;
  return [{ code: "watch.url", severity: "warning", text: "watch.url is not called", since: problem.since, shown }];
}
