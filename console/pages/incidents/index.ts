import type { Incident } from "../../../src/client/api-types.gen.ts";
import "./incidents.css";
import { Siren } from "lucide";
import { api, type Page } from "../../app/api.ts";
import { canInProject } from "../../app/memberships.ts";
import { inProject, type PageModule, pagesOf } from "../../app/page-module.ts";
import { openIncidents } from "./open-incidents.ts";

export const incidents: PageModule = {
  ...pagesOf(() => import("./pages.ts"), {
    "/incidents": {
      page: "IncidentsPage",
      ...inProject("events:read"),
      nav: { label: "Incidents", icon: Siren, group: "main", shortcut: "n", badge: openIncidents, tab: 2 },
    },
    // Without a permission: a paged person follows the link of the notification. The server decides.
    "/incidents/:id": { page: "IncidentPage" },
  }),
  async search(text) {
    if (canInProject("events:read") !== true) return [];
    const number = /^#?(\d{1,9})$/.exec(text)?.[1];
    const query = number === undefined ? { q: text.slice(0, 100) } : { number };
    const { data } = await api.get<Page<Incident>>("/incidents", { ...query, limit: 5 });
    return data.map(({ id, number: n, title, state }) => ({
      label: `#${n} ${title}`,
      kind: "Incident",
      detail: state,
      icon: Siren,
      run: `/incidents/${id}`,
    }));
  },
};
