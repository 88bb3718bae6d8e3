import type { Uses } from "../../../module/feature.ts";
import type { FeatureFindings } from "../../../module/findings.ts";

/** A trail that lacks its last rows. Doctor reads all of it, a server looks at its end when it starts. */
export const auditFindings: FeatureFindings<Uses<"auditHead">> = {
  stored: () => import("./doctor.ts"),
  known({ auditHead: { warning } }) {
    if (warning === null) return [];
    const text = "The audit trail does not match its record";
    const shown = { kind: "audit", key: "audit", detail: warning, link: "/audit" } as const;
    return [{ code: "audit", severity: "critical", text, shown }];
  },
};
