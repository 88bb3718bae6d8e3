import type { Uses } from "../../../module/feature.ts";
import type { FeatureFindings } from "../../../module/findings.ts";

/** Files of `configuration.dir` that are not applied. */
export const directoryFindings: FeatureFindings<Uses<"configurationDirectory">> = {
  stored: () => import("./doctor.ts"),
  known({ configurationDirectory }) {
    const problem = configurationDirectory?.problem ?? null;
    if (problem === null) return [];
    const text = "The files of configuration.dir are not applied";
    const shown = { kind: "config", key: "configuration.dir", detail: problem.message, link: "/configuration" } as const;
    return [{ code: "configuration.dir", severity: "critical", text, since: problem.at, shown }];
  },
  // It names objects of all projects.
  permission: "projects:all",
};
