import { BellOff } from "lucide";
import { inProject, type PageModule, pagesOf } from "../../app/page-module.ts";

export const silences: PageModule = {
  ...pagesOf(() => import("./pages.ts"), {
    "/silences": {
      page: "SilencesPage",
      ...inProject("events:read"),
      nav: { label: "Silences", icon: BellOff, group: "watch", shortcut: "x" },
    },
    "/silences/new": { page: "NewSilence", ...inProject("silences:write") },
    // Without a permission: a paged person may silence alerts of the incident. The server decides.
    "/incidents/:incident/silence": { page: "NewSilence" },
    "/silences/:id": { page: "SilencePage" },
    "/silences/:id/edit": { page: "EditSilence", ...inProject("silences:write") },
  }),
  actions: [
    { label: "New silence", kind: "Action", icon: BellOff, run: "/silences/new", permission: "silences:write" },
  ],
};
