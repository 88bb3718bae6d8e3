import type { PageModule } from "../app/page-module.ts";
import { audit } from "./audit/index.ts";
import { buckets } from "./buckets/index.ts";
import { messages } from "./messages/index.ts";
import { modules } from "./modules/index.ts";
import { overview } from "./overview/index.ts";
import { people } from "./people/index.ts";
import { projects } from "./projects/index.ts";
import { reference } from "./reference/index.ts";
import { settings } from "./settings/index.ts";
import { tasks } from "./tasks/index.ts";

export const pages: readonly PageModule[] = [overview, tasks, messages, buckets, people, projects, modules, audit, settings, reference];
