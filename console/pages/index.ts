import type { PageModule } from "../app/page-module.ts";
import { overview } from "./overview/index.ts";

/** All page modules, in the order of the navigation. */
export const pages: readonly PageModule[] = [overview];
