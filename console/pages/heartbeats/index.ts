import { HeartPulse } from "lucide";
import type { Heartbeat } from "../../../src/client/api-types.gen.ts";
import { api, type Page } from "../../app/api.ts";
import { inProject, type PageModule, pagesOf } from "../../app/page-module.ts";

export const heartbeats: PageModule = {
  ...pagesOf(() => import("./pages.ts"), {
    "/heartbeats": {
      page: "Heartbeats",
      ...inProject("events:read"),
      nav: { label: "Heartbeats", icon: HeartPulse, group: "watch", shortcut: "h" },
    },
    "/heartbeats/:id": { page: "HeartbeatPage", ...inProject("events:read") },
  }),
  async search(q) {
    const { data } = await api.get<Page<Heartbeat>>("/heartbeats", { q, limit: 5 });
    return data.map(({ id, name, slug, status }) => ({
      label: name || slug || "Unnamed heartbeat",
      kind: "Heartbeat",
      detail: status,
      icon: HeartPulse,
      run: `/heartbeats/${id}`,
    }));
  },
};
