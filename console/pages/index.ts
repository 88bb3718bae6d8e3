import type { PageModule } from "../app/page-module.ts";
import { galleryPage } from "../gallery/index.ts";
import { account } from "./account/index.ts";
import { alerts } from "./alerts/index.ts";
import { audit } from "./audit/index.ts";
import { backups } from "./backups/index.ts";
import { buckets } from "./buckets/index.ts";
import { cluster } from "./cluster/index.ts";
import { configuration } from "./configuration/index.ts";
import { connect } from "./connect/index.ts";
import { deliveries } from "./deliveries/index.ts";
import { events } from "./events/index.ts";
import { explain } from "./explain/index.ts";
import { heartbeats } from "./heartbeats/index.ts";
import { inbox } from "./inbox/index.ts";
import { incidents } from "./incidents/index.ts";
import { jobs } from "./jobs/index.ts";
import { messages } from "./messages/index.ts";
import { modules } from "./modules/index.ts";
import { oncall } from "./oncall/index.ts";
import { overview } from "./overview/index.ts";
import { people } from "./people/index.ts";
import { policies } from "./policies/index.ts";
import { projects } from "./projects/index.ts";
import { reference } from "./reference/index.ts";
import { reports } from "./reports/index.ts";
import { rules } from "./rules/index.ts";
import { schedules } from "./schedules/index.ts";
import { settings } from "./settings/index.ts";
import { silences } from "./silences/index.ts";
import { sounds } from "./sounds/index.ts";
import { statuspage } from "./statuspage/index.ts";
import { tasks } from "./tasks/index.ts";

/** All page modules, in the order of the navigation. */
export const pages: readonly PageModule[] = [
  overview,
  incidents,
  alerts,
  oncall,
  inbox,
  silences,
  heartbeats,
  statuspage,
  reports,
  connect,
  rules,
  policies,
  events,
  explain,
  jobs,
  schedules,
  deliveries,
  tasks,
  messages,
  buckets,
  people,
  projects,
  sounds,
  modules,
  audit,
  backups,
  configuration,
  cluster,
  settings,
  reference,
  account,
  galleryPage,
];
