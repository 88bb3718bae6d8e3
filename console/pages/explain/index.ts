import "./explain.css";
import { type PageModule, pagesOf } from "../../app/page-module.ts";

export { openStory } from "./explain-drawer.tsx";

export const explain: PageModule = {
  ...pagesOf(() => import("./explain-page.tsx"), {
    "/explain/:kind/:id": { page: "default" },
  }),
};
