import type { PageModule } from "../app/page-module.ts";
import { galleryPage } from "../gallery/index.ts";
import { events } from "./events/index.ts";
import { explain } from "./explain/index.ts";
import { inbox } from "./inbox/index.ts";
import { overview } from "./overview/index.ts";
import { people } from "./people/index.ts";
import { projects } from "./projects/index.ts";
import { rules } from "./rules/index.ts";
import { sounds } from "./sounds/index.ts";

/** All page modules, in the order of the navigation. */
export const pages: readonly PageModule[] = [
  overview,
  inbox,
  events,
  explain,
  rules,
  people,
  projects,
  sounds,
  galleryPage,
];
