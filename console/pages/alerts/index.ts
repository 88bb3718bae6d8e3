import type { Alert } from "../../../src/client/api-types.gen.ts";
import "./alerts.css";
import { BellRing } from "lucide";
import { api, type Page } from "../../app/api.ts";
import { canInProject } from "../../app/memberships.ts";
import { inProject, type PageModule, pagesOf } from "../../app/page-module.ts";

export const alerts: PageModule = {
  ...pagesOf(() => import("./pages.ts"), {
    "/alerts": {
      page: "AlertsPage",
      ...inProject("events:read"),
      nav: { label: "Alerts", icon: BellRing, group: "main", shortcut: "a" },
    },
    // Without a permission: a paged person comes from the incident. The server decides.
    "/alerts/:id": { page: "AlertPage" },
  }),
  async search(text) {
    if (canInProject("events:read") !== true) return [];
    const { data } = await api.get<Page<Alert>>("/alerts", { q: text.slice(0, 100), limit: 5 });
    return data.map(({ id, key, labels, annotations, state }) => ({
      label: annotations["summary"] || labels["alertname"] || key,
      kind: "Alert",
      detail: [state, labels["instance"]].filter(Boolean).join(" · "),
      icon: BellRing,
      run: `/alerts/${id}`,
    }));
  },
};
