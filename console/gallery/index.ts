import type { PageModule } from "../app/page-module.ts";

/** The gallery of components, in development only; it is in no navigation. */
export const galleryPage: PageModule = {
  routes: DEVELOPMENT ? [{ path: "/gallery", load: () => import("./gallery.tsx") }] : [],
};
