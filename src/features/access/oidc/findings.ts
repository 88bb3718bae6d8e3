import type { Uses } from "../../../module/feature.ts";
import type { FeatureFindings } from "../../../module/findings.ts";

/** Providers at which no one can sign in now. */
export const oidcFindings: FeatureFindings<Uses<"oidc">> = {
  stored: () => import("./doctor.ts"),
  known: ({ oidc }) =>
    oidc.used.flatMap(({ label, settings: { name }, problems }) =>
      problems.map(({ since, text }) => ({
        ...{ code: "oidc", severity: "warning", subject: name, since },
        text: `Sign-in with ${label}: ${text}`,
        fix: "look at auth.oidc and at the provider; sessions go on, and prism user sign-in-link signs in without it",
        shown: {
          ...{ kind: "config", key: `oidc:${name}`, link: "/people" },
          detail: "people who are signed in are not affected",
        },
      })),
    ),
};
