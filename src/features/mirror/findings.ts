import type { Uses } from "../../module/feature.ts";
import type { FeatureFindings } from "../../module/findings.ts";

/** Owners can make a project a mirror; administrators see that it notifies no one. */
export const mirrorFindings: FeatureFindings<Uses<"projects">> = {
  known: ({ projects }) =>
    Array.from(projects.mirrors, ([id, slug]) => ({
      ...({ code: "mirror", severity: "warning" } as const),
      subject: slug,
      text: `Project ${slug} is a mirror: nothing is sent`,
      shown: {
        ...({ kind: "config", key: `mirror:${id}`, link: `/projects/${id}` } as const),
        detail: "It runs beside another system (settings.mirror)",
        ids: [id],
      },
    })),
  permission: "projects:all",
};
