import type { Uses } from "../../module/feature.ts";
import type { FeatureFindings } from "../../module/findings.ts";

/** Modules that do not run. */
export const moduleFindings: FeatureFindings<Uses<"loaded">> = {
  stored: () => import("./doctor.ts"),
  known: ({ loaded }) =>
    loaded
      .list()
      .filter(({ state }) => state === "failed")
      .map(({ name, error }) => ({
        ...{ code: "modules", severity: "warning", subject: name },
        text: `Module ${name} failed`,
        shown: {
          kind: "module",
          key: `module:${name}`,
          detail: error ?? "It could not be loaded",
          link: "/modules",
          ids: [name],
        },
        entries: {
          key: `module ${name}`,
          began: ["module.failed", { name, error }],
          ended: ["module.recovered", { name }],
        },
      })),
};
