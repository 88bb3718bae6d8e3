import type { Incident } from "../../../src/client/api-types.gen.ts";
import "./incidents.css";
import { Siren } from "lucide";
import { api, type Page } from "../../app/api.ts";
import { canInProject } from "../../app/memberships.ts";
import type { PageModule } from "../../app/page-module.ts";
import { openIncidents } from "./open-incidents.ts";

/** One file for all pages of this folder: it compresses better than one for each. */
const pages = () => import("./pages.ts");
const read = { permission: "events:read", within: "project" } as const;

export const incidents: PageModule = {
  routes: [
    { ...read, path: "/incidents", title: "Incidents", load: async () => ({ default: (await pages()).IncidentsPage }) },
    {
      // Without a permission: a paged person follows the link of the notification. The server decides.
      path: "/incidents/:id",
      title: "Incident",
      load: async () => ({ default: (await pages()).IncidentPage }),
    },
  ],
  nav: [
    {
      ...read,
      label: "Incidents",
      path: "/incidents",
      icon: Siren,
      group: "respond",
      shortcut: "n",
      badge: openIncidents,
      tab: 3,
    },
  ],
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
